"""KFP interface of sweep_plan."""

from typing import List

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def sweep_plan(
    plan: dsl.Output[dsl.Artifact],
    students: List[dict],
    temperatures: List[float] = [2.0],
    run_id: str = "",
) -> List[dict]:
    """Multiply a sweep's students and temperatures out to the trainings that a loop goes over.

    Sparsities and precisions are no part of it: the members that differ in these alone share a student, which is
    trained once (see sweep_branch). A branch of which a member failed in an earlier run, and not by its options, gets a
    number that makes KFP try it again.

    Args:
        plan: The plan as JSON.
        students: Students to try, each a mapping with one of student, student_layers and student_config, and a name.
        temperatures: Temperatures of the soft labels to try.
        run_id: Id of the pipeline's run: what comes before it in the URI of `plan` is the same in every run.

    Returns:
        One mapping for each student at each temperature.
    """
    from compaware.components.launch import run_component

    summary = run_component(
        "sweep_plan",
        {
            "output": plan.path,
            "students": students,
            "temperatures": temperatures,
            "run_id": run_id,
            "plan_uri": plan.uri,
        },
    )
    return summary.facts["branches"]
