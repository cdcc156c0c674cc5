"""data_prep → teacher_check → sparsity_aware_training → benchmark."""

from compaware.pipelines.definition import Arguments, compression_pipeline
from compaware.pipelines.steps import BENCHMARK, CHECK_TEACHER, PREPARE_DATA, SPARSIFY


@compression_pipeline(PREPARE_DATA, CHECK_TEACHER, SPARSIFY, BENCHMARK)
def sparsity_aware_training(arguments: Arguments) -> None:
    """Make a student, or the teacher itself, sparse with the teacher's soft labels; measure it beside the teacher."""
    dataset = PREPARE_DATA(arguments).outputs["dataset"]
    teacher = CHECK_TEACHER(arguments, dataset=dataset)
    model = teacher.outputs["model"]
    sparse = SPARSIFY(arguments, dataset=dataset, model=model, soft_labels=teacher.outputs["soft_labels"])
    BENCHMARK(arguments, dataset=dataset, teacher=model, sparse=sparse.outputs["sparse"])
