"""KFP interface of sweep_plan."""

# Generated from config.py by `make compile`: change that, not this file.

from typing import List, Optional

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def sweep_plan(
    plan: dsl.Output[dsl.Artifact],
    dataset: dsl.Input[dsl.Dataset] = None,
    run_id: str = "",
    students: Optional[List[dict]] = None,
    temperatures: List[float] = [2.0],
) -> List[dict]:
    """Multiply a sweep's students and temperatures out to the trainings that a loop goes over.

    Sparsities and precisions are no part of it: the members that differ in these alone share a student, which is
    trained once (see sweep_branch). A branch of which a member failed in an earlier run, and not by its options, gets a
    number that makes KFP try it again.

    Args:
        dataset: Dataset folder that data_prep wrote; the sample has students of its own.
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
