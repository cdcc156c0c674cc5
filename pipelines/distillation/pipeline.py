"""data_prep → teacher_check → distillation → benchmark."""

from compaware.pipelines.definition import Arguments, compression_pipeline
from compaware.pipelines.steps import BENCHMARK, CHECK_TEACHER, DISTIL, PREPARE_DATA


@compression_pipeline(PREPARE_DATA, CHECK_TEACHER, DISTIL, BENCHMARK)
def distillation(arguments: Arguments) -> None:
    """Distil a small student from a teacher and measure both side by side."""
    dataset = PREPARE_DATA(arguments).outputs["dataset"]
    teacher = CHECK_TEACHER(arguments, dataset=dataset)
    student = DISTIL(
        arguments, dataset=dataset, teacher=teacher.outputs["model"], soft_labels=teacher.outputs["soft_labels"]
    )
    BENCHMARK(arguments, dataset=dataset, teacher=teacher.outputs["model"], student=student.outputs["model"])
