"""data_prep → teacher_check → quantization_aware_training → benchmark → accuracy_gate."""

from compaware.pipelines.definition import Arguments, compression_pipeline
from compaware.pipelines.steps import BENCHMARK, CHECK_TEACHER, GATE, PREPARE_DATA, QUANTIZE


@compression_pipeline(PREPARE_DATA, CHECK_TEACHER, QUANTIZE, BENCHMARK, GATE)
def quantization_aware_training(arguments: Arguments) -> None:
    """Make a fine-tuned model INT8, with its own soft labels, and measure both side by side."""
    dataset = PREPARE_DATA(arguments).outputs["dataset"]
    teacher = CHECK_TEACHER(arguments, dataset=dataset)
    model = teacher.outputs["model"]
    quantized = QUANTIZE(arguments, dataset=dataset, model=model, soft_labels=teacher.outputs["soft_labels"])
    measured = BENCHMARK(arguments, dataset=dataset, teacher=model, quantized=quantized.outputs["quantized"])
    # The gate comes last: the report is there when it says no.
    GATE(arguments, quantized=quantized.outputs["quantized"]).after(measured)
