"""change_check → data_prep → teacher_check → quantization_aware_training → benchmark → accuracy_gate → publish."""

from compaware.pipelines.definition import Arguments, compression_pipeline
from compaware.pipelines.steps import (
    BENCHMARK,
    CHECK_CHANGES,
    CHECK_TEACHER,
    GATE,
    PREPARE_DATA,
    PUBLISH,
    QUANTIZE,
    RUN_ID,
)


@compression_pipeline(PREPARE_DATA, CHECK_TEACHER, QUANTIZE, BENCHMARK, GATE, CHECK_CHANGES, PUBLISH)
def quantization_aware_training(arguments: Arguments) -> None:
    """Make a fine-tuned model INT8, with its own soft labels, and measure both side by side."""
    changes = CHECK_CHANGES(arguments, run_id=RUN_ID)
    dataset = PREPARE_DATA(arguments, inputs_fingerprint=changes.outputs["Output"]).outputs["dataset"]
    teacher = CHECK_TEACHER(arguments, dataset=dataset)
    model = teacher.outputs["model"]
    quantized = QUANTIZE(arguments, dataset=dataset, model=model, soft_labels=teacher.outputs["soft_labels"])
    measured = BENCHMARK(arguments, dataset=dataset, teacher=model, quantized=quantized.outputs["quantized"])
    # The gate comes after the report, which is there when it says no, and before anything is published.
    gate = GATE(arguments, quantized=quantized.outputs["quantized"]).after(measured)
    PUBLISH(
        arguments,
        dataset=dataset,
        teacher=model,
        model=quantized.outputs["quantized"],
        results=measured.outputs["results"],
        changes=changes.outputs["state"],
        run_id=RUN_ID,
    ).after(gate)
