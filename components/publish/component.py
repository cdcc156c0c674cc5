"""KFP interface of publish."""

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
    publish_uri: str = "",
    max_loss_to_published_points: float = 0.5,
    max_length_tokens: int = 128,
    run_id: str = "",
) -> None:
    """Publish a model below a prefix, unless it is worse than the one that is published there.

    A version is a folder with the model, a model card, the report, its provenance, a script that loads it without this
    package, and a KServe InferenceService. It appears whole: latest.json at the prefix is moved to it last. Where one
    is published already, both are measured now on the same validation split, each in the runtime that serves it on
    this CPU; a model that is worse by more than `max_loss_to_published_points` is refused in one line, which is no
    error. history.json keeps what was published and what was refused. Where MODEL_REGISTRY_URL is set, the version is
    registered in the Kubeflow Model Registry. This task is never cached.

    Args:
        dataset: Data that data_prep prepared.
        teacher: The teacher that teacher_check passed.
        model: The model to publish: a student, a sparse or an INT8 model.
        results: What benchmark measured, and its report.
        record: What was done, as JSON.
        history_html: All versions at the prefix.
        history_markdown: The same as Markdown.
        metrics: Whether it was published, its metric and that of the version before.
        student: The student that an INT8 model was made of.
        changes: What change_check found.
        publish_uri: Path or URI (file, s3, minio) to publish below, of this model alone; empty publishes nothing.
        max_loss_to_published_points: Points (hundredths) of the primary metric that it may be worse than the last one.
        max_length_tokens: Longer inputs are cut.
        run_id: Id of the run, for the provenance.
    """
    import shutil
    from pathlib import Path

    from compaware.components.launch import log_metrics, run_component

    summary = run_component(
        "publish",
        {
            "output": record.path,
            "publish_uri": publish_uri,
            "dataset": dataset.path,
            "teacher": teacher.path,
            "model": model.path,
            "results": results.path,
            "student": student.path if student else None,
            "changes": changes.path if changes else None,
            "max_loss_to_published_points": max_loss_to_published_points,
            "max_length_tokens": max_length_tokens,
            "run_id": run_id,
        },
    )
    log_metrics(summary, metrics)
    shutil.copyfile(Path(record.path) / "history.html", history_html.path)
    shutil.copyfile(Path(record.path) / "history.md", history_markdown.path)
