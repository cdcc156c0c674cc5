"""`run_component` returns the summary or the reason of a failure, and converts KFP's floats to integers."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.launch import run, run_component
from tests.tiny import SMALL_BERT, make_dataset


def options(tmp_path: Path, **more: object) -> dict:
    data = make_dataset(tmp_path / "data", 256, 64)
    as_kfp_gives = json.loads(json.dumps(SMALL_BERT), parse_int=float)
    values = {"output": str(tmp_path / "teacher"), "soft_labels_output": str(tmp_path / "soft")}
    values |= {"dataset": str(data.path), "teacher_config": as_kfp_gives, "teacher": None, "fine_tune_if_needed": True}
    return {**values, "epochs": 12.0, "learning_rate": 3e-3, **more}


def test_two_processes_train_and_the_summary_is_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAWARE_WORK_ROOT", str(tmp_path / "work"))
    summary = run_component("teacher_check", options(tmp_path), {"processes_per_node": 2.0})
    assert summary.facts["training"]["processes"] == 2
    assert summary.metrics["teacher_accuracy"] > 0.9
    assert list((tmp_path / "work").iterdir()) == []


def test_another_number_of_processes_has_another_work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAWARE_WORK_ROOT", str(tmp_path / "work"))
    works = []

    def stop(_: str, config: dict, *__: object) -> None:
        works.append(config["work"])
        raise UserError("enough")

    monkeypatch.setattr(run, "run_job", stop)
    for processes in (1, 2, 2):
        with pytest.raises(SystemExit):
            run_component("distillation", {"output": str(tmp_path / "out")}, {"processes_per_node": processes})
    assert works[0] != works[1] == works[2]


@pytest.mark.parametrize("launcher", ["torchrun", "pytorchjob"])
def test_a_component_that_starts_jobs_runs_here_and_names_what_its_jobs_can_see(
    launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Artifact(NamedTuple):
        path: str
        uri: str
        metadata: Mapping[str, str] = MappingProxyType({})

    started: dict[str, Any] = {}
    monkeypatch.delenv("COMPAWARE_WORK_ROOT", raising=False)
    monkeypatch.setattr(
        run, "run_job", lambda name, config, wanted, part: started.update(config, where=wanted.launcher)
    )
    monkeypatch.setattr(run.Summary, "load", lambda output: output)
    models, data = Artifact("/kfp/models", "s3://b/models"), Artifact("/kfp/data", "s3://b/data")
    config = {"output": models, "dataset": data, "branches": [data], "job": {"launcher": launcher, "num_nodes": 2.0}}
    assert run.attempt_component("sweep_branch", config) == "/kfp/models"
    seen = "/kfp/data" if launcher == "torchrun" else "s3://b/data"
    assert (started["where"], started["output"], started["dataset"]) == ("torchrun", "/kfp/models", seen)
    assert started["branches"] == [seen] and started["job"]["num_nodes"] == 2
    assert started.get("models_uri") == (None if launcher == "torchrun" else "s3://b/models")


def test_the_reason_of_a_failed_component_is_reported(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^error: 'epochs' is 0: input should be greater than 0$"):
        run_component("teacher_check", options(tmp_path, epochs=0))
    assert "error: 'epochs'" in capfd.readouterr().out
