"""A run with other launching settings reuses the results and the checkpoints of earlier runs, if inputs are equal.

The training pod is played by `Stage.train`; tests/components/test_pods.py runs real ones.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

from compaware.components.core.base.summary import Summary
from compaware.components.launch import JobError, attempt_component, run
from compaware.components.launch.earlier import Run
from compaware.components.storage import delete, exists, find, is_empty, read_text, upload
from tests.components.storage.conftest import KEYS, s3_server

MORE = {"memory_per_node": "64Gi", "timeout_hours": 48, "queue_name": "night", "max_restarts": 9}


@dataclass
class Stage:
    """A stage whose pods fail after a checkpoint while `fails` is set.

    Attributes:
        root: Pipeline root.
        disk: Folder of the pods.
        dataset: URI of its input.
        active: Ids of the runs with running pods.
        trained: What each training resumed from; empty if from nothing.
    """

    root: str
    disk: Path
    dataset: str
    active: set[str] = field(default_factory=set)
    fails: bool = False
    trained: list[str] = field(default_factory=list)
    current: str = ""
    image: str = "registry.example.com/team/launcher:1"

    def run(self, run_id: str, job: dict[str, Any] | None = None, **settings: Any) -> Summary:
        """Runs the stage in a run of its pipeline."""
        self.current = run_id
        values = {"output": self.output(run_id), "dataset": self.dataset, "seed": 42, **settings}
        return attempt_component("distillation", values, {"launcher": "pytorchjob", **(job or {})})

    def output(self, run_id: str) -> str:
        """Returns the URI of the output as KFP chooses it."""
        return f"{self.root}/compaware-distillation/{run_id}/distillation/0a1b/model"

    def train(self, component: str, config: dict[str, Any], *_: Any) -> None:
        """Plays the job."""
        work = config["work_uri"]
        begun = "" if is_empty(work) else read_text(f"{work}/checkpoint-5", "by")
        self.trained.append(begun)
        folder = self.disk / self.current
        (folder / "checkpoint").mkdir(parents=True)
        (folder / "checkpoint" / "by").write_text(self.current)
        upload(folder / "checkpoint", f"{work}/checkpoint-5")
        (folder / "checkpoints.json").write_text(json.dumps(["checkpoint-5"]))
        upload(folder / "checkpoints.json", f"{work}/checkpoints.json")
        if self.fails:
            raise JobError("out of memory")
        summary = Summary(
            component=component, version="1", config={}, metrics={}, facts={"by": self.current}, machine={}
        )
        (folder / "model").mkdir()
        summary.save(folder / "model")
        upload(folder / "model", config["output"])
        delete(work)

    def fail(self, run_id: str, **settings: Any) -> None:
        """Runs the stage until its job fails."""
        self.fails = True
        with pytest.raises(JobError, match="out of memory"):
            self.run(run_id, **settings)
        self.fails = False

    def works(self) -> list[str]:
        """Returns the URIs of all checkpoints that are left."""
        return find(f"{self.root}/compaware-work", "checkpoints.json")


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with s3_server() as host:
        yield host


@pytest.fixture
def stage(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("MINIO_ENDPOINT", f"http://{store}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS[1])
    bucket = f"earlier-{uuid.uuid4().hex}"
    Minio(store, *KEYS, secure=False).make_bucket(bucket)
    root = f"minio://{bucket}/v2/artifacts"
    (tmp_path / "rows").write_text("rows")
    upload(tmp_path / "rows", f"{root}/compaware-distillation/first/data-prep/0c/dataset/rows")
    stage = Stage(root, tmp_path, f"{root}/compaware-distillation/first/data-prep/0c/dataset")
    monkeypatch.setattr(run, "_current_run", lambda: Run(stage.current, "team", stage.active.__contains__, stage.image))
    monkeypatch.setattr(run, "run_job", stage.train)
    return stage


def test_more_memory_time_and_another_queue_keep_a_finished_stage(stage: Stage) -> None:
    stage.run("first")
    assert stage.run("second", MORE).facts == {"by": "first"}
    assert stage.trained == [""]
    delete(stage.output("first"))
    assert exists(stage.output("second")), "each run has its own artifacts"
    assert stage.run("third").facts == {"by": "third"}


def test_more_memory_goes_on_with_the_checkpoints_of_a_failed_run(stage: Stage) -> None:
    stage.fail("first")
    stage.fail("second", job=MORE)
    stage.run("third", {**MORE, "memory_per_node": "128Gi"})
    assert stage.trained == ["", "first", "second"]
    assert stage.works() == [] and len(find(f"{stage.root}/compaware-stages", "stage.json")) == 1


@pytest.mark.parametrize(
    "job",
    [{"num_nodes": 2}, {"processes_per_node": 2}, {"image": "registry/trainer:next"}],
    ids=["nodes", "processes", "image"],
)
def test_job_options_that_change_the_result_train_again(stage: Stage, job: dict[str, Any]) -> None:
    stage.run("first")
    assert stage.run("second", job).facts == {"by": "second"}


def test_images_of_another_tag_train_again(stage: Stage) -> None:
    stage.run("first")
    stage.image = "registry.example.com/team/launcher:2"
    assert stage.run("second").facts == {"by": "second"}


def test_other_settings_or_other_content_of_an_input_train_again(stage: Stage) -> None:
    stage.run("first")
    assert stage.run("second", seed=43).facts == {"by": "second"}
    (stage.disk / "rows").write_text("other rows")
    upload(stage.disk / "rows", f"{stage.dataset}/rows")
    assert stage.run("third").facts == {"by": "third"}
    assert stage.trained == ["", "", ""]


def test_a_run_without_kfps_cache_trains_again(stage: Stage) -> None:
    stage.run("first")
    stage.dataset = stage.dataset.replace("/first/", "/second/")
    upload(stage.disk / "rows", f"{stage.dataset}/rows")
    assert stage.run("second").facts == {"by": "second"}


def test_a_setting_that_is_a_path_is_never_taken_for_equal(stage: Stage) -> None:
    stage.run("first", student="/cache/student")
    assert stage.run("second", student="/cache/student").facts == {"by": "second"}


def test_the_work_of_a_run_that_is_active_is_left_alone(stage: Stage) -> None:
    stage.active = {"first"}
    stage.fail("first")
    stage.run("second")
    assert stage.trained == ["", ""] and len(stage.works()) == 1
    stage.active = set()
    stage.run("third", MORE)
    assert stage.works() == [], "and deleted once it has ended"


def test_a_retry_of_a_task_uses_its_own_work(stage: Stage) -> None:
    stage.fail("first")
    stage.fail("second", job=MORE)
    (stage.disk / "second").rename(stage.disk / "earlier-try")
    stage.run("second", MORE)
    assert stage.trained == ["", "first", "second"]


def test_a_store_that_refuses_to_copy_costs_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage.run("first")
    monkeypatch.setattr("minio.Minio.copy_object", _refuse)
    assert stage.run("second", MORE).facts == {"by": "second"}
    assert "cannot reuse the work of earlier runs: cannot copy" in caplog.text


def _refuse(*_: Any, **__: Any) -> None:
    from minio.error import ServerError

    raise ServerError("refused", 403)
