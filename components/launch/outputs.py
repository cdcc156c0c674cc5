"""What a KFP task reports from a finished stage."""

import json
import math
from pathlib import Path
from typing import Any

from compaware.components.core.base.summary import Summary


def log_metrics(summary: Summary, artifact: Any) -> None:
    """Logs a stage's metrics to a `dsl.Metrics` artifact.

    They are written as a file, too: kfp.local reuses a finished task only where each of its outputs exists on disk.
    What is NaN is left out: KFP cannot read JSON that holds one.
    """
    metrics = {name: value for name, value in summary.metrics.items() if math.isfinite(value)}
    for name, value in metrics.items():
        artifact.log_metric(name, value)
    Path(artifact.path).write_text(json.dumps(metrics, indent=2), encoding="utf-8")


def log_classification(summary: Summary, artifact: Any) -> None:
    """Logs the confusion matrix and the ROC curve of a summary's facts to a `dsl.ClassificationMetrics` artifact.

    What is None is left out: regression and multi-label data have neither, and more than two classes no curve.
    """
    confusion, roc = summary.facts.get("confusion_matrix"), summary.facts.get("roc")
    if confusion:
        artifact.log_confusion_matrix(confusion["labels"], confusion["matrix"])
    if roc:
        artifact.log_roc_curve(roc["fpr"], roc["tpr"], roc["thresholds"])
    Path(artifact.path).write_text(json.dumps({"confusion_matrix": confusion, "roc": roc}), encoding="utf-8")
