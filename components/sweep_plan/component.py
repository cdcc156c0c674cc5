"""KFP interface of sweep_plan."""

# Generated from config.py by `make compile`: change that, not this file.

from typing import List

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def sweep_plan(
    plan: dsl.Output[dsl.Artifact],
    dataset: dsl.Input[dsl.Dataset] = None,
    run_id: str = "",
    students: List[dict] = [],
    temperatures: List[float] = [2.0],
) -> List[dict]:
    """List the branches of a sweep: each student at each temperature.

    Sparsities and precisions are not part of the list, because members that differ only in these share a student, which
    is trained once (see sweep_branch). If a member of a branch failed in an earlier run for a reason other than its
    options, the number of the branch's attempts changes, so that KFP does not take the branch from its cache.

    Args:
        dataset: Dataset folder that data_prep wrote; the sample has default students.
        plan: The plan as JSON.
        run_id: Id of the pipeline's run.
        students: Students, each with one of student, student_layers and student_config, and an optional name.
        temperatures: Temperatures that each student is trained at.

    Returns:
        One mapping for each student at each temperature.
    """
    from compaware.components.launch import run_component

    summary = run_component(
        "sweep_plan",
        {
            "output": plan,
            "dataset": dataset,
            "run_id": run_id,
            "students": students,
            "temperatures": temperatures,
            "plan_uri": plan.uri,
        },
    )
    return summary.facts["branches"]
