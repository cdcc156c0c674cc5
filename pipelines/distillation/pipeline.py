"""change_check → data_prep → teacher_check → distillation → benchmark → publish."""

from compaware.pipelines.definition import Arguments, compression_pipeline
from compaware.pipelines.steps import BENCHMARK, CHECK_CHANGES, CHECK_TEACHER, DISTIL, PREPARE_DATA, PUBLISH, RUN_ID


@compression_pipeline(PREPARE_DATA, CHECK_TEACHER, DISTIL, BENCHMARK, CHECK_CHANGES, PUBLISH)
def distillation(arguments: Arguments) -> None:
    """Distil a small student from a teacher and measure both side by side."""
    changes = CHECK_CHANGES(arguments, student=arguments["student"], run_id=RUN_ID)
    dataset = PREPARE_DATA(arguments, inputs_fingerprint=changes.outputs["Output"]).outputs["dataset"]
    teacher = CHECK_TEACHER(arguments, dataset=dataset)
    model = teacher.outputs["model"]
    student = DISTIL(arguments, dataset=dataset, teacher=model, soft_labels=teacher.outputs["soft_labels"])
    measured = BENCHMARK(arguments, dataset=dataset, teacher=model, student=student.outputs["model"])
    PUBLISH(
        arguments,
        dataset=dataset,
        teacher=model,
        model=student.outputs["model"],
        results=measured.outputs["results"],
        changes=changes.outputs["state"],
        run_id=RUN_ID,
    )
