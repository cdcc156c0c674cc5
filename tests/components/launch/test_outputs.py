"""Metrics that a KFP task logs."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

from compaware.components.core.base.summary import Summary
from compaware.components.launch import log_metrics


def test_nan_is_left_out_for_kfp_and_null_in_the_summary(tmp_path: Path) -> None:
    metrics = {"accuracy": 0.5, "pearson": math.nan}
    facts = {"rows": [{"metric": math.nan}]}
    Summary(component="x", version="0", config={}, metrics=metrics, facts=facts, machine={}).save(tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())["metrics"] == {"accuracy": 0.5, "pearson": None}
    summary = Summary.load(tmp_path)
    assert math.isnan(summary.metrics["pearson"])
    logged: dict[str, float] = {}
    log_metrics(summary, SimpleNamespace(path=tmp_path / "metrics", log_metric=logged.__setitem__))
    assert logged == {"accuracy": 0.5} == json.loads((tmp_path / "metrics").read_text())
