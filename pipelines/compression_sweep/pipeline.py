"""sweep_plan; data_prep → teacher_check → sweep_branch, for each student and temperature → sweep_benchmark."""

from kfp import dsl

from compaware.pipelines.definition import Arguments, compression_pipeline
from compaware.pipelines.steps import CHECK_TEACHER, PLAN_SWEEP, PREPARE_DATA, RUN_ID, SWEEP_BENCHMARK, SWEEP_BRANCH

# Branches at the same time; KFP fixes it when a pipeline is compiled.
_PARALLEL_BRANCHES = 4


# SWEEP_BRANCH comes before CHECK_TEACHER: of a parameter that both have, it is the branch's default that counts. KFP
# cannot carry a parameter without a value into a loop, and the branch has none that is optional.
@compression_pipeline(PLAN_SWEEP, PREPARE_DATA, SWEEP_BRANCH, CHECK_TEACHER, SWEEP_BENCHMARK)
def compression_sweep(arguments: Arguments) -> None:
    """Try students, temperatures, sparsities and precisions; name the best within limits of speed and accuracy."""
    plan = PLAN_SWEEP(arguments, run_id=RUN_ID)
    dataset = PREPARE_DATA(arguments).outputs["dataset"]
    checked = CHECK_TEACHER(arguments, dataset=dataset)
    teacher = checked.outputs["model"]
    with dsl.ParallelFor(items=plan.outputs["Output"], parallelism=_PARALLEL_BRANCHES) as branch:
        made = SWEEP_BRANCH(
            arguments, branch=branch, dataset=dataset, teacher=teacher, soft_labels=checked.outputs["soft_labels"]
        )
    SWEEP_BENCHMARK(arguments, dataset=dataset, teacher=teacher, branches=dsl.Collected(made.outputs["models"]))
