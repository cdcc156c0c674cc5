"""KFP interface of change_check."""

# Generated from config.py by `make compile`: change that, not this file.

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def change_check(
    state: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    student: str = "",
    run_id: str = "",
    task: str = "sample",
    data: str = "",
    teacher: str = "",
    publish_uri: str = "",
    data_options: dict = {},
) -> str:
    """Check whether data, teacher, student or compaware have changed since the last model was published.

    The output, a fingerprint of data and models, is an input of data_prep. KFP's cache only compares names, so it does
    not notice that the content of a file or of a branch on the hub has changed. With the fingerprint, stages run again
    for changed content, and come from the cache otherwise. If the hub does not answer, the commits of the last run are
    used. This task is never cached.

    Args:
        state: The fingerprints and what changed, as JSON.
        metrics: Whether anything changed, and which inputs.
        student: Hub id, folder or URI of the student.
        run_id: Id of the pipeline's run.
        task: A built-in task or custom; see data_prep.
        data: Your data: a file, a folder, a URI or a hub id.
        teacher: Hub id, folder or URI of the teacher.
        publish_uri: Path or URI where models are published; empty if none are.
        data_options: Options that other stages share: hub_config, hub_revision, read_options, label_names,
            problem_type, max_train_rows, max_validation_rows, max_test_rows, validation_fraction, test_fraction,
            keep_duplicates, metric, slice_columns, tokenizer.

    Returns:
        Fingerprint of data, teacher and student.
    """
    from compaware.components.launch import log_metrics, run_component

    summary = run_component(
        "change_check",
        {
            "output": state,
            "student": student,
            "run_id": run_id,
            "task": task,
            "data": data,
            "teacher": teacher,
            "publish_uri": publish_uri,
            "data_options": data_options,
            "state_uri": state.uri,
        },
    )
    log_metrics(summary, metrics)
    return summary.facts["fingerprint"]
