"""change_check → data_prep → teacher_check → distillation → quantization_aware_training → benchmark → accuracy_gate →
publish."""

from compaware.pipelines.definition import Arguments, compression_pipeline
from compaware.pipelines.steps import (
    BENCHMARK,
    CHECK_CHANGES,
    CHECK_TEACHER,
    DISTIL,
    GATE,
    PREPARE_DATA,
    PUBLISH,
    QUANTIZE,
    RUN_ID,
)


@compression_pipeline(PREPARE_DATA, CHECK_TEACHER, DISTIL, QUANTIZE, BENCHMARK, GATE, CHECK_CHANGES, PUBLISH)
def distillation_then_quantization(arguments: Arguments) -> None:
    """Distil a small student, make it INT8, and measure teacher, student and INT8 side by side."""
    changes = CHECK_CHANGES(arguments, student=arguments["student"], run_id=RUN_ID)
    dataset = PREPARE_DATA(arguments, inputs_fingerprint=changes.outputs["Output"]).outputs["dataset"]
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
    # The gate comes after the report, which is there when it says no, and before anything is published.
    gate = GATE(arguments, quantized=quantized.outputs["quantized"]).after(measured)
    PUBLISH(
        arguments,
        dataset=dataset,
        teacher=teacher.outputs["model"],
        student=student.outputs["model"],
        model=quantized.outputs["quantized"],
        results=measured.outputs["results"],
        changes=changes.outputs["state"],
        run_id=RUN_ID,
    ).after(gate)
