"""A job survives any answer of the API server; before the job is created, a refusal is an error."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.summary import Summary
from compaware.components.launch import attempt_component
from compaware.components.launch.api import Api
from compaware.components.launch.cluster import ClusterLauncher
from compaware.components.launch.errors import JobError, UnansweredError
from compaware.components.launch.failure import Verdict
from compaware.components.launch.job import Job
from compaware.components.launch.launcher import launch
from compaware.components.launch.options import JobOptions
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.launch.watcher import JobWatcher
from compaware.components.storage import upload
from tests.components.launch.conftest import ApiServer
from tests.components.storage.conftest import bucket, client, environment, store  # noqa: F401

JOB = Job("job", "distillation", {"output": "s3://bucket/out"}, JobOptions(launcher="pytorchjob"))


def launcher() -> ClusterLauncher:
    return ClusterLauncher(PYTORCHJOB, Api())


def after(seconds: float, action: Callable[[], None]) -> None:
    threading.Timer(seconds, action).start()


@pytest.mark.parametrize("status", [401, 403, 404, 410, 422, 429, 500, 503, 520])
def test_a_job_survives_any_answer_of_a_restarting_server(api_server: ApiServer, status: int) -> None:
    """The job succeeds while every request is refused; it is not deleted, and its success is seen later."""
    launcher().create(JOB)
    api_server.always = status
    after(0.2, lambda: api_server.set_condition("Succeeded"))
    after(0.8, lambda: setattr(api_server, "always", None))
    launcher().wait(JOB)
    assert not api_server.deleted


def test_a_job_survives_answers_that_are_not_from_the_server(api_server: ApiServer) -> None:
    launcher().create(JOB)
    api_server.nonsense = True
    after(0.2, lambda: api_server.set_condition("Succeeded"))
    after(0.8, lambda: setattr(api_server, "nonsense", False))
    launcher().wait(JOB)
    assert not api_server.deleted


def test_a_server_that_keeps_refusing_ends_the_task_but_not_the_job(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compaware.components.launch.watcher.SILENCE_LIMIT_S", 0.5)
    launcher().create(JOB)
    api_server.always = 403
    with pytest.raises(UnansweredError, match=r"cannot list resource .* may still run: run this task again"):
        launcher().wait(JOB)
    assert api_server.job and not api_server.deleted


def test_a_job_needs_no_permission_to_read_its_workflow(api_server: ApiServer) -> None:
    """The small server knows no Workflows."""
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "run", "uid": "2"}
    job = replace(JOB, owners=(owner,))
    launcher().create(job)
    after(0.5, lambda: api_server.set_condition("Succeeded"))
    launcher().wait(job)
    assert not api_server.deleted


def test_refusals_of_a_starting_server_are_retried(api_server: ApiServer) -> None:
    api_server.refusals = [503, 403, 403, 401, 403]
    api_server.creates = "Succeeded"
    launch(JOB, launcher())
    assert api_server.posts == 1


@pytest.mark.parametrize("answered_before", [0, 2])
def test_a_missing_permission_is_named_before_the_job_is_created(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch, answered_before: int
) -> None:
    monkeypatch.setattr("compaware.components.launch.api.RBAC_WARM_UP_S", 0.2)
    api_server.refusals = [0] * answered_before
    api_server.always = 403
    with pytest.raises(UserError, match=r'^the cluster denies access: .*cannot list resource "pytorchjobs"'):
        launch(JOB, launcher())
    assert api_server.posts == 0


def test_the_reason_of_a_failed_job_is_reported_if_it_cannot_be_deleted(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compaware.components.launch.cluster.PATIENCE_S", 0.1)

    def refuse_from_now_on(*_: object) -> Verdict:
        api_server.always = 403
        return Verdict("failed", "PyTorchJob job failed: TypeError: no", must_stop=True)

    launcher().create(JOB)
    monkeypatch.setattr(JobWatcher, "verdict", refuse_from_now_on)
    with pytest.raises(JobError, match="TypeError: no"):
        launcher().wait(JOB)


def test_pods_are_not_pending_while_the_server_does_not_answer(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may have started in the meantime, so the job must not be deleted."""
    job = Job("job", "distillation", {}, JobOptions(launcher="pytorchjob", pending_limit_minutes=0.005))
    launcher().create(job)
    api_server.always = 503
    after(3.0, lambda: api_server.set_condition("Succeeded"))
    after(3.1, lambda: setattr(api_server, "always", None))
    launcher().wait(job)
    assert not api_server.deleted


def test_a_result_that_cannot_be_read_is_read_by_a_retry(
    api_server: ApiServer,
    bucket: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("compaware.components.storage.store._FIRST_ANSWER_S", 0.1)
    monkeypatch.setattr("compaware.components.storage.store._answered", set())
    output = f"s3://{bucket}/out"
    folder = tmp_path / "out"
    folder.mkdir()
    Summary(component="distillation", version="1", config={}, metrics={"x": 1.0}, facts={}, machine={}).save(folder)
    upload(folder, output)
    monkeypatch.setattr("compaware.components.storage.store._answered", set())
    api_server.creates = "Succeeded"

    def attempt() -> Summary:
        return attempt_component("distillation", {"output": output}, {"launcher": "pytorchjob"})

    with monkeypatch.context() as away:
        away.setenv("S3_ENDPOINT", "http://127.0.0.1:9")
        expected = r"distillation is finished, but .* for 2 s: .*; run this task again to use its output"
        with pytest.raises(UnavailableError, match=expected):
            attempt()
    assert attempt().metrics == {"x": 1.0}
    assert api_server.posts == 1 and not api_server.deleted
