"""data_prep → sweep_plan and teacher_check → sweep_branch, for each student and temperature → sweep_benchmark."""

from kfp import dsl

from compaware.pipelines.definition import Arguments, compression_pipeline
from compaware.pipelines.steps import CHECK_TEACHER, PLAN_SWEEP, PREPARE_DATA, RUN_ID, SWEEP_BENCHMARK, SWEEP_BRANCH

# Branches at the same time; KFP fixes it when a pipeline is compiled.
_PARALLEL_BRANCHES = 4


@compression_pipeline(PREPARE_DATA, PLAN_SWEEP, CHECK_TEACHER, SWEEP_BRANCH, SWEEP_BENCHMARK)
def compression_sweep(arguments: Arguments) -> None:
    """Try students, temperatures, sparsities and precisions; name the best within limits of speed and accuracy."""
    dataset = PREPARE_DATA(arguments).outputs["dataset"]
    plan = PLAN_SWEEP(arguments, dataset=dataset, run_id=RUN_ID)
    checked = CHECK_TEACHER(arguments, dataset=dataset)
    teacher = checked.outputs["model"]
    with dsl.ParallelFor(items=plan.outputs["Output"], parallelism=_PARALLEL_BRANCHES) as branch:
        made = SWEEP_BRANCH(
            arguments, branch=branch, dataset=dataset, teacher=teacher, soft_labels=checked.outputs["soft_labels"]
        )
    SWEEP_BENCHMARK(arguments, dataset=dataset, teacher=teacher, branches=dsl.Collected(made.outputs["models"]))
