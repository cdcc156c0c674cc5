"""KFP interface of sweep_plan."""

from typing import List

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def sweep_plan(
    plan: dsl.Output[dsl.Artifact],
    students: List[dict],
    temperatures: List[float] = [2.0],
) -> List[dict]:
    """Multiply a sweep's students and temperatures out to the trainings that a loop goes over.

    Sparsities and precisions are no part of it: the members that differ in these alone share a student, which is
    trained once (see sweep_branch).

    Args:
        plan: The plan as JSON.
        students: Students to try, each a mapping with one of student, student_layers and student_config, and a name.
        temperatures: Temperatures of the soft labels to try.

    Returns:
        One mapping for each student at each temperature.
    """
    from compaware.components.launch import run_component

    summary = run_component("sweep_plan", {"output": plan.path, "students": students, "temperatures": temperatures})
    return summary.facts["branches"]
