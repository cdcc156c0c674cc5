"""Stages of a branch, their order and outputs, and the effect of a failed stage, with fake trainings."""

from pathlib import Path
from typing import Any

import pytest

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.stage import identity
from compaware.components.core.stage.workspace import run_stage
from compaware.components.launch import JobError, UnansweredError
from compaware.components.sweep_branch import branch
from compaware.components.sweep_branch.config import SweepBranchConfig
from compaware.components.sweep_plan.attempts import read_attempt

INPUTS = {"dataset": "s3://b/data", "teacher": "s3://b/teacher", "soft_labels": "s3://b/soft"}
BRANCH = {"name": "small_t2", "temperature": 2, "choice": {"student_layers": [0]}}


class Trainings:
    """Fake components that record their configurations and fail on request."""

    def __init__(self, failing: dict[str, Exception]):
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._failing = failing

    def __call__(self, component: str, config: dict[str, Any], options: dict[str, Any], part: str) -> Summary:
        self.calls.append((component, config))
        assert config["output"].endswith(f"/{part}")
        if part in self._failing:
            raise self._failing[part]
        if "://" not in config["output"]:
            Path(config["output"]).mkdir(parents=True)
            (Path(config["output"]) / "model").write_text(part, encoding="utf-8")
        return Summary(component=component, version="0", config={}, metrics={"seen": 1}, facts={}, machine={})


def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failing: dict[str, Exception] | None = None, **values: Any
) -> tuple[Trainings, Summary]:
    trainings = Trainings(failing or {})
    monkeypatch.setattr(branch, "attempt_component", trainings)
    # The inputs' URIs do not exist.
    monkeypatch.setattr(identity, "content_of", str)
    values = {"output": str(tmp_path / "models"), **INPUTS, "branch": BRANCH, "target_sparsities": [0, 0.5], **values}
    config = validate(SweepBranchConfig, values)
    return trainings, run_stage(config, lambda workspace: branch.run(config, workspace))


def failures(summary: Summary) -> dict[str, str]:
    return {member["name"]: member["failure"] for member in summary.facts["members"]}


def test_each_stage_is_trained_once_and_all_members_are_there(monkeypatch, tmp_path):
    trainings, summary = run(monkeypatch, tmp_path)
    assert [component for component, _ in trainings.calls] == [
        *("distillation", "quantization_aware_training"),
        *("sparsity_aware_training", "quantization_aware_training"),
    ]
    _, dense_int8, sparse, sparse_int8 = (config for _, config in trainings.calls)
    assert dense_int8["model"] == sparse["model"] != sparse_int8["model"]
    assert all(config["temperature"] == 2 and config["soft_labels"] == "s3://b/soft" for _, config in trainings.calls)
    names = ["small_t2", "small_t2_int8", "small_t2_s50", "small_t2_s50_int8"]
    assert failures(summary) == dict.fromkeys(names, "")
    assert [(tmp_path / "models" / name / "model").read_text(encoding="utf-8") for name in names] == names
    assert not (tmp_path / "models.work").exists()


def test_a_failed_stage_fails_only_its_dependents(monkeypatch, tmp_path):
    _, summary = run(monkeypatch, tmp_path, {"small_t2_s50": JobError("the pod ran out of memory")})
    failure = "sparsity_aware_training: the pod ran out of memory"
    assert failures(summary) == {
        "small_t2": "",
        "small_t2_int8": "",
        "small_t2_s50": failure,
        "small_t2_s50_int8": failure,
    }
    assert summary.metrics == {"members": 4, "failed_members": 2}
    assert {file.name for file in (tmp_path / "models").iterdir()} == {"small_t2", "small_t2_int8", "summary.json"}


@pytest.mark.parametrize(
    ("failing", "attempt"), [(JobError("OOMKilled"), 3), (UserError("student_layers [7] are not there"), None)]
)
def test_a_failure_that_another_attempt_may_fix_is_repeated_by_the_next_run(monkeypatch, tmp_path, failing, attempt):
    place = str(tmp_path / "attempts")
    run(monkeypatch, tmp_path, {"small_t2": failing}, branch={**BRANCH, "attempt": 2, "attempts": place})
    assert read_attempt(place) == (attempt or 0)


def test_members_that_were_not_requested_are_not_in_the_output(monkeypatch, tmp_path):
    _, summary = run(monkeypatch, tmp_path, target_sparsities=[0.5], precisions=["int8"])
    assert list(failures(summary)) == ["small_t2_s50_int8"]
    assert {file.name for file in (tmp_path / "models").iterdir()} == {"small_t2_s50_int8", "summary.json"}


def test_in_a_cluster_jobs_pass_models_by_uri(monkeypatch, tmp_path):
    trainings, summary = run(monkeypatch, tmp_path, models_uri="s3://b/run/models")
    assert [config["output"] for _, config in trainings.calls] == [
        *("s3://b/run/models/small_t2", "s3://b/run/models/small_t2_int8"),
        *("s3://b/run/models/small_t2_s50", "s3://b/run/models/small_t2_s50_int8"),
    ]
    assert trainings.calls[3][1]["model"] == "s3://b/run/models/small_t2_s50"
    assert set(failures(summary).values()) == {""}


def test_an_unavailable_cluster_fails_the_task_and_keeps_finished_stages(monkeypatch, tmp_path):
    with pytest.raises(UnavailableError, match="the API server"):
        run(monkeypatch, tmp_path, {"small_t2_s50": UnansweredError("the API server did not answer for 600 s")})
    assert not (tmp_path / "models").exists()
    assert (tmp_path / "models.work" / "models" / "small_t2_int8" / "model").exists()
