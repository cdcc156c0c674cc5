"""KFP interface of publish."""

# Generated from config.py by `make compile`: change that, not this file.

from kfp import dsl

from compaware.components import images


@dsl.component(base_image=images.BENCHMARK, install_kfp_package=False)
def publish(
    dataset: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    model: dsl.Input[dsl.Model],
    results: dsl.Input[dsl.Artifact],
    record: dsl.Output[dsl.Artifact],
    history_html: dsl.Output[dsl.HTML],
    history_markdown: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    student: dsl.Input[dsl.Model] = None,
    changes: dsl.Input[dsl.Artifact] = None,
    run_id: str = "",
    publish_uri: str = "",
    max_length_tokens: int = 128,
    options: dict = {},
) -> None:
    """Publish a model below a prefix, unless it is worse than the published one.

    A version is a folder with the model, a model card, the report, its provenance, a script that loads it without this
    package, and a KServe InferenceService. latest.json at the prefix points to the version and is written last, so that
    it never points to an incomplete one. If a model is already published, both are evaluated on the same validation
    split, each in the runtime that serves it on this CPU. A model that is worse by more than
    `max_loss_to_published_points` is refused with one log line, and the task succeeds. Scores on a labelled test split
    are reported only; they decide nothing. history.json lists published and refused models. If MODEL_REGISTRY_URL is
    set, the version is registered in the Kubeflow Model Registry. This task is never cached.

    Args:
        dataset: Dataset folder that data_prep wrote.
        teacher: Teacher folder that teacher_check wrote.
        model: Folder of the model to publish: a student, a sparse or an INT8 model.
        results: Folder that benchmark wrote.
        student: Folder of the student that an INT8 model was quantized from.
        changes: Folder that change_check wrote.
        record: The decision, as JSON.
        history_html: All versions at the prefix.
        history_markdown: All versions at the prefix, as Markdown.
        metrics: Whether it was published, its metric, and the metric of the version before.
        run_id: Id of the pipeline's run for the provenance and the Model Registry.
        publish_uri: Path or URI (file, s3, minio) to publish below, of this model only; empty: nowhere.
        max_length_tokens: Longer inputs are cut.
        options: Further configuration: max_loss_to_published_points, version.
    """
    from compaware.components.launch import copy_file, log_metrics, run_component

    summary = run_component(
        "publish",
        {
            "output": record,
            "dataset": dataset,
            "teacher": teacher,
            "model": model,
            "results": results,
            "student": student,
            "changes": changes,
            "run_id": run_id,
            "publish_uri": publish_uri,
            "max_length_tokens": max_length_tokens,
            "options": options,
        },
    )
    copy_file(record, "history.html", history_html)
    copy_file(record, "history.md", history_markdown)
    log_metrics(summary, metrics)
