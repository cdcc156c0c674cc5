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
