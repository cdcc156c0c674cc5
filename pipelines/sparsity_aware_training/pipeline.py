"""change_check → data_prep → teacher_check → sparsity_aware_training → benchmark → publish."""

from compaware.pipelines.definition import Arguments, compression_pipeline
from compaware.pipelines.steps import BENCHMARK, CHECK_CHANGES, CHECK_TEACHER, PREPARE_DATA, PUBLISH, RUN_ID, SPARSIFY


@compression_pipeline(PREPARE_DATA, CHECK_TEACHER, SPARSIFY, BENCHMARK, CHECK_CHANGES, PUBLISH)
def sparsity_aware_training(arguments: Arguments) -> None:
    """Make a student, or the teacher itself, sparse with the teacher's soft labels; measure it beside the teacher."""
    changes = CHECK_CHANGES(arguments, student=arguments["student"], run_id=RUN_ID)
    dataset = PREPARE_DATA(arguments, inputs_fingerprint=changes.outputs["Output"]).outputs["dataset"]
    teacher = CHECK_TEACHER(arguments, dataset=dataset)
    model = teacher.outputs["model"]
    sparse = SPARSIFY(arguments, dataset=dataset, model=model, soft_labels=teacher.outputs["soft_labels"])
    measured = BENCHMARK(arguments, dataset=dataset, teacher=model, sparse=sparse.outputs["sparse"])
    PUBLISH(
        arguments,
        dataset=dataset,
        teacher=model,
        model=sparse.outputs["sparse"],
        results=measured.outputs["results"],
        changes=changes.outputs["state"],
        run_id=RUN_ID,
    )
