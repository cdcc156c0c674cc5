"""What a KFP task reports from a finished stage."""

import json
from pathlib import Path
from typing import Any

from compaware.components.core.summary import Summary


def log_metrics(summary: Summary, artifact: Any) -> None:
    """Logs a stage's metrics to a `dsl.Metrics` artifact.

    They are written as a file, too: kfp.local reuses a finished task only where each of its outputs exists on disk.
    """
    for name, value in summary.metrics.items():
        artifact.log_metric(name, value)
    Path(artifact.path).write_text(json.dumps(summary.metrics, indent=2), encoding="utf-8")


def log_confusion_matrix(summary: Summary, artifact: Any) -> None:
    """Logs `facts["confusion_matrix"]` to a `dsl.ClassificationMetrics` artifact; regression has none."""
    confusion = summary.facts.get("confusion_matrix")
    if confusion:
        artifact.log_confusion_matrix(confusion["labels"], confusion["matrix"])
    Path(artifact.path).write_text(json.dumps(confusion), encoding="utf-8")
