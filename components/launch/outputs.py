"""Logs the metrics of a finished stage to KFP artifacts."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

from compaware.components.core.base.summary import Summary


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
