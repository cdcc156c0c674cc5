"""Metrics that a KFP task logs."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

from compaware.components.core.base.summary import Summary
from compaware.components.launch import log_metrics
from compaware.components.launch.outputs import describe_outputs


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


def test_outputs_tell_a_lineage_page_what_they_are_and_what_they_were_made_from() -> None:
    metrics = {"accuracy": 0.5, "pearson": math.nan}
    summary = Summary(
        component="distillation", version="1", config={}, metrics=metrics, facts={}, machine={}, identity="abc"
    )
    model = SimpleNamespace(uri="minio://out/model", metadata={"own": 1})
    dataset = SimpleNamespace(uri="minio://out/dataset", metadata={})
    describe_outputs(summary, {"output": model, "dataset": dataset, "student": "hub/small", "teacher": None})
    assert dataset.metadata == {}
    assert model.metadata == {
        "own": 1,
        "component": "distillation",
        "compaware_version": "1",
        "fingerprint": "abc",
        "dataset": "minio://out/dataset",
        "student": "hub/small",
        "accuracy": 0.5,
    }
