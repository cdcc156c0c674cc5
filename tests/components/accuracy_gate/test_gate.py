"""The gate passes models that meet their criterion and stops others with one line."""

import math
import shutil
from pathlib import Path

import pytest

from compaware.components.accuracy_gate import gate
from compaware.components.accuracy_gate.config import AccuracyGateConfig
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.evaluation.criterion import Criterion, CriterionResult, HeldOutScores
from compaware.components.core.evaluation.intervals import Difference
from compaware.components.core.stage.workspace import run_stage


def judge(
    folder: Path,
    measured: float,
    on_failure: str = "fail",
    kind: str = "absolute",
    test: HeldOutScores | None = None,
) -> Summary:
    criterion = Criterion.create("accuracy", 0.9, 0.01, 0.01 if kind == "relative" else None)
    judged = CriterionResult(
        **criterion.model_dump(), measured=measured, runtime="openvino", runtime_reason="made up", test=test
    )
    return run_gate(folder, {"criterion": judged.model_dump(mode="json")}, on_failure)


def run_gate(folder: Path, facts: dict, on_failure: str) -> Summary:
    model = folder / "model"
    model.mkdir()
    Summary(component="quantization", version="0", config={}, metrics={}, facts=facts, machine={}).save(model)
    config = AccuracyGateConfig.model_validate(
        {"output": folder / "verdict", "quantized": model, "on_failure": on_failure}
    )
    return run_stage(config, lambda workspace: gate.run(config, workspace))


def test_a_model_that_keeps_its_accuracy_passes(tmp_path: Path):
    summary = judge(tmp_path, 0.895)
    assert summary.metrics["passed"] == 1.0 and summary.metrics["loss"] == pytest.approx(0.005)
    assert (tmp_path / "verdict" / "summary.json").is_file()


def test_scores_on_test_stand_beside_the_verdict_and_do_not_change_it(tmp_path: Path):
    for name, measured, test in (("bad", 0.895, 0.1), ("good", 0.85, 0.99)):
        (tmp_path / name).mkdir()
        scores = HeldOutScores(rows=1821, measured=test, baseline=0.9)
        summary = judge(tmp_path / name, measured, on_failure="warn", test=scores)
        assert summary.metrics["passed"] == float(name == "bad")
        assert summary.metrics["test_loss"] == pytest.approx(0.9 - test)
        assert f"(on the 1,821 test rows {test:.4f} against 0.9000)" in summary.facts["words"]


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [("absolute", "where 0.0100 is allowed"), ("relative", "where 0.0090 (1 % of 0.9000) is allowed")],
)
def test_a_model_that_misses_its_criterion_stops_the_pipeline_with_one_line(tmp_path: Path, kind: str, allowed: str):
    with pytest.raises(UserError) as caught:
        judge(tmp_path, 0.85, kind=kind)
    line = str(caught.value)
    assert "\n" not in line and "accuracy 0.8500 against 0.9000" in line and allowed in line
    assert "on_failure=warn" in line and "(chosen on these rows)" in line and len(line) < 300
    assert not (tmp_path / "verdict").exists()


def test_a_gate_on_the_interval_stops_a_model_whose_loss_may_be_too_large(tmp_path: Path):
    criterion = Criterion.create("matthews_correlation", 0.5068, 0.01, 0.02, gate_on="interval")
    judged = CriterionResult(
        **criterion.model_dump(),
        measured=0.5045,
        runtime="openvino",
        runtime_reason="made up",
        difference=Difference(value=-0.0023, low=-0.0312, high=0.0270, rows=1043),
        test=HeldOutScores(rows=1821, measured=0.5, baseline=0.5),
    )
    with pytest.raises(UserError, match="about 29,000 rows decide 8 times in 10") as caught:
        run_gate(tmp_path, {"criterion": judged.model_dump(mode="json")}, "fail")
    assert "between 0.031 worse and 0.027 better" in str(caught.value) and len(str(caught.value)) < 300
    shutil.rmtree(tmp_path / "model")
    metrics = run_gate(tmp_path, {"criterion": judged.model_dump(mode="json")}, "warn").metrics
    assert metrics["passed"] == 0 and metrics["loss"] == pytest.approx(0.0023)
    assert (metrics["loss_low"], metrics["loss_high"]) == (-0.0270, 0.0312)


def test_warn_lets_it_pass_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    summary = judge(tmp_path, 0.85, on_failure="warn")
    assert summary.metrics["passed"] == 0.0
    assert "misses its accuracy criterion" in caplog.text


def test_a_model_whose_score_is_not_a_number_misses_its_criterion(tmp_path: Path):
    summary = judge(tmp_path, float("nan"), on_failure="warn")
    assert summary.metrics["passed"] == 0.0 and math.isnan(Summary.load(tmp_path / "verdict").metrics["loss"])


def test_a_criterion_of_another_version_is_refused_in_one_line(tmp_path: Path):
    with pytest.raises(UserError, match="cannot read the accuracy criterion of this model, written by compaware 0"):
        run_gate(tmp_path, {"criterion": {"passed": True, "allowed_loss": 0.01}}, "fail")


def test_a_model_without_a_criterion_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="has no accuracy criterion"):
        run_gate(tmp_path, {}, "fail")
