"""Logs the metrics of a finished stage to KFP artifacts, and describes its outputs for KFP's lineage pages."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

from compaware.components.core.base.summary import Summary

# Keys of configurations that name what a stage reads.
_SOURCES = ("task", "data", "dataset", "teacher", "student", "model")


def log_metrics(summary: Summary, artifact: Any) -> None:
    """Logs a stage's metrics to a `dsl.Metrics` artifact.

    NaN is left out, because KFP cannot read JSON with NaN. The metrics are also written to the artifact's file, because
    kfp.local caches a task only if all its outputs exist on disk.
    """
    metrics = {name: value for name, value in summary.metrics.items() if math.isfinite(value)}
    for name, value in metrics.items():
        artifact.log_metric(name, value)
    Path(artifact.path).write_text(json.dumps(metrics, indent=2), encoding="utf-8")


def log_classification(summary: Summary, artifact: Any) -> None:
    """Logs the confusion matrix and the ROC curve of a summary's facts to a `dsl.ClassificationMetrics` artifact.

    Regression and multi-label data have neither; data with more than two classes have no curve.
    """
    confusion, roc = summary.facts.get("confusion_matrix"), summary.facts.get("roc")
    if confusion:
        artifact.log_confusion_matrix(confusion["labels"], confusion["matrix"])
    if roc:
        artifact.log_roc_curve(roc["fpr"], roc["tpr"], roc["thresholds"])
    Path(artifact.path).write_text(json.dumps({"confusion_matrix": confusion, "roc": roc}), encoding="utf-8")


def copy_file(artifact: Any, name: str, destination: Any) -> None:
    """Copies a file of one artifact to another artifact, such as a report that the KFP UI shows."""
    shutil.copyfile(Path(artifact.path) / name, destination.path)


def save_text(text: str, artifact: Any) -> None:
    """Writes a text as an artifact."""
    Path(artifact.path).write_text(text, encoding="utf-8")


def describe_outputs(summary: Summary, config: dict[str, Any]) -> None:
    """Adds the stage, its figures and what it read to the metadata of its KFP output artifacts.

    Args:
        summary: The finished stage. The fact `lineage`, if there is one, replaces its metrics.
        config: Its configuration; values with `uri` are KFP artifacts.
    """
    figures = summary.facts.get("lineage") or summary.metrics
    described = {
        "component": summary.component,
        "compaware_version": summary.version,
        "fingerprint": summary.identity,
        **{name: getattr(config.get(name), "uri", config.get(name)) for name in _SOURCES if config.get(name)},
        **{key: value for key, value in figures.items() if isinstance(value, str) or math.isfinite(value)},
    }
    for key, artifact in config.items():
        if key.endswith("output") and hasattr(artifact, "metadata"):
            artifact.metadata.update(described)
