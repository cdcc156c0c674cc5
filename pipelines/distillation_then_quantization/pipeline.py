"""data_prep → teacher_check → distillation → quantization_aware_training → benchmark → accuracy_gate."""

from compaware.pipelines.definition import Arguments, compression_pipeline
from compaware.pipelines.steps import BENCHMARK, CHECK_TEACHER, DISTIL, GATE, PREPARE_DATA, QUANTIZE


@compression_pipeline(PREPARE_DATA, CHECK_TEACHER, DISTIL, QUANTIZE, BENCHMARK, GATE)
def distillation_then_quantization(arguments: Arguments) -> None:
    """Distil a small student, make it INT8, and measure teacher, student and INT8 side by side."""
    dataset = PREPARE_DATA(arguments).outputs["dataset"]
    teacher = CHECK_TEACHER(arguments, dataset=dataset)
    soft_labels = teacher.outputs["soft_labels"]
    student = DISTIL(arguments, dataset=dataset, teacher=teacher.outputs["model"], soft_labels=soft_labels)
    quantized = QUANTIZE(arguments, dataset=dataset, model=student.outputs["model"], soft_labels=soft_labels)
    measured = BENCHMARK(
        arguments,
        dataset=dataset,
        teacher=teacher.outputs["model"],
        student=student.outputs["model"],
        quantized=quantized.outputs["quantized"],
    )
    # The gate comes last: the report is there when it says no.
    GATE(arguments, quantized=quantized.outputs["quantized"]).after(measured)
