"""KFP interface of change_check."""

from typing import Optional

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def change_check(
    state: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    task: str = "sample",
    data: Optional[str] = None,
    hub_revision: Optional[str] = None,
    teacher: Optional[str] = None,
    student: Optional[str] = None,
    publish_uri: str = "",
) -> str:
    """Look whether data, teacher, student or product have changed since the last model was published.

    Its output, a fingerprint of data and models, goes into data_prep. So KFP's cache, which knows only the names of
    what a task reads, sees that a file or a branch of the hub holds something else: the run is then done anew, and with
    nothing new every stage is taken from the cache. This task itself is never cached.

    Args:
        state: What was found, as JSON.
        metrics: Whether anything changed, and what.
        task: A known task, or custom; as data_prep has it.
        data: Own data: a file, a folder, a URI, or a hub id.
        hub_revision: Branch, tag or commit of a hub data set.
        teacher: Hub id, folder or URI of the teacher.
        student: Hub id, folder or URI of the student.
        publish_uri: Path or URI (file, s3, minio) that models are published at; empty publishes nothing.

    Returns:
        Fingerprint of data, teacher and student.
    """
    from compaware.components.launch import log_metrics, run_component

    summary = run_component(
        "change_check",
        {
            "output": state.path,
            "task": task,
            "data": data,
            "hub_revision": hub_revision,
            "teacher": teacher,
            "student": student,
            "publish_uri": publish_uri,
        },
    )
    log_metrics(summary, metrics)
    return summary.facts["fingerprint"]
