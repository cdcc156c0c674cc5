"""`launcher: auto` chooses what the cluster serves; a TrainJob gets a runtime with all its settings, or is refused."""

import logging
from typing import Any

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.launch.api import Api
from compaware.components.launch.errors import OldKindError
from compaware.components.launch.job import Job
from compaware.components.launch.kinds import launch_in_cluster
from compaware.components.launch.options import JobOptions
from compaware.components.launch.trainjob import TRAINJOB, runtime_manifest
from tests.components.launch.conftest import ApiServer


@pytest.fixture(autouse=True)
def _succeeds(api_server: ApiServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="compaware")
    monkeypatch.setenv("KFP_POD_NAME", "task")
    monkeypatch.setattr("compaware.components.launch.trainjob._RUNTIME_PATIENCE_S", 0.3)
    monkeypatch.setattr("compaware.components.launch.trainjob._PAUSE_S", 0.02)
    api_server.creates = "Complete"


def make(**options: Any) -> Job:
    return Job("job", "distillation", {"output": "s3://bucket/out"}, JobOptions(**options))


def start(**options: Any) -> None:
    launch_in_cluster(Api(), make(**options))


def kind(api_server: ApiServer) -> str:
    assert api_server.job
    return api_server.job["kind"]


def test_auto_prefers_a_trainjob(api_server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    start()
    assert kind(api_server) == "TrainJob"
    assert "launcher auto: TrainJob" in caplog.text


def test_auto_takes_a_pytorchjob_where_there_is_no_trainer(
    api_server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    del api_server.served["trainjobs"]
    api_server.creates = "Succeeded"
    start(num_nodes=2)
    assert kind(api_server) == "PyTorchJob"
    assert "launcher auto: PyTorchJob; no TrainJob (not served by this cluster)" in caplog.text


def test_one_node_needs_no_operator(api_server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    api_server.served = {"jobs": "batch/v1"}
    start()
    assert kind(api_server) == "Job"
    assert "launcher auto: Job; no TrainJob (not served by this cluster), no PyTorchJob (not served" in caplog.text


def test_several_nodes_without_an_operator_are_refused_in_one_line(api_server: ApiServer) -> None:
    api_server.served = {"jobs": "batch/v1"}
    with pytest.raises(
        UserError, match=r"no PyTorchJob \(not served .*num_nodes is 2.* install Kubeflow Trainer 2\.2"
    ) as e:
        start(num_nodes=2)
    assert api_server.posts == 0 and len(str(e.value)) < 300 and "\n" not in str(e.value)


def test_an_elastic_job_is_a_pytorchjob(api_server: ApiServer) -> None:
    api_server.creates = "Succeeded"
    start(num_nodes=2, min_nodes=1)
    assert kind(api_server) == "PyTorchJob"


def test_auto_skips_what_this_account_may_not_create(api_server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    """KFP's own role for pipeline-runner grants kubeflow.org and batch Jobs, but not trainer.kubeflow.org."""
    api_server.denied = {"trainjobs", "trainingruntimes"}
    del api_server.served["pytorchjobs"]
    start()
    assert kind(api_server) == "Job"
    assert "no TrainJob (this account may not create it)" in caplog.text


@pytest.mark.parametrize("first", ["trainjobs", "pytorchjobs", "jobs"])
def test_a_retry_finds_the_job_whatever_kind_the_first_try_chose(
    api_server: ApiServer, first: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when an operator has been installed in the meantime."""
    api_server.served = {first: api_server.served[first]}
    api_server.creates = "Succeeded" if first == "pytorchjobs" else "Complete"
    start()
    created = kind(api_server)
    api_server.served = {
        "trainjobs": "trainer.kubeflow.org/v1alpha1",
        "pytorchjobs": "kubeflow.org/v1",
        "jobs": "batch/v1",
    }
    start()
    assert kind(api_server) == created and api_server.posts == 1
    assert f"an earlier try of this task created a {created}" in caplog.text
    assert "exists: adopting it" in caplog.text


@pytest.mark.parametrize("is_strict", [True, False])
def test_a_trainer_that_drops_fields_is_refused_and_nothing_is_left(api_server: ApiServer, is_strict: bool) -> None:
    """As Trainer 2.1 does, whose TrainJob has neither field."""
    api_server.old_fields = ["activeDeadlineSeconds", "runtimePatches"]
    api_server.is_strict = is_strict
    with pytest.raises(
        OldKindError, match=r"TrainJob has no .*runtimePatches: install Kubeflow Trainer 2\.2 or newer, or"
    ):
        start(launcher="trainjob")
    assert api_server.job is None and api_server.runtimes == {"torch-distributed"}


def test_auto_goes_on_where_the_trainer_is_too_old(api_server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    api_server.old_fields = ["runtimePatches"]
    api_server.creates = "Succeeded"
    start(num_nodes=2)
    assert kind(api_server) == "PyTorchJob"
    assert (
        "install Kubeflow Trainer 2.2 or newer, or choose another launcher; launcher auto tries PyTorchJob"
        in caplog.text
    )


def test_a_new_runtime_that_the_webhook_does_not_see_yet_is_waited_for(api_server: ApiServer) -> None:
    api_server.late_reads = 3
    start(launcher="trainjob")
    assert kind(api_server) == "TrainJob"


@pytest.mark.parametrize(
    ("runtime", "named"),
    [("missing", "ClusterTrainingRuntime missing"), ("trainingruntime/missing", "TrainingRuntime missing")],
)
def test_an_unknown_runtime_reads_as_such(api_server: ApiServer, runtime: str, named: str) -> None:
    with pytest.raises(UserError, match=f"^there is no {named}: correct `runtime`, or leave it out$"):
        start(launcher="trainjob", runtime=runtime)
    assert api_server.job is None


def test_a_runtime_of_the_site_is_used(api_server: ApiServer) -> None:
    api_server.runtimes = {"mine"}
    start(launcher="trainjob", runtime="trainingruntime/mine")
    assert api_server.job and api_server.job["spec"]["runtimeRef"] == {
        "apiGroup": "trainer.kubeflow.org",
        "kind": "TrainingRuntime",
        "name": "mine",
    }
    assert api_server.runtimes == {"mine"}


def test_an_account_that_may_not_create_runtimes_uses_the_installed_one(
    api_server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Kubeflow's editors of a namespace may create TrainJobs, but only read TrainingRuntimes."""
    api_server.denied = {"trainingruntimes"}
    start(launcher="trainjob")
    assert api_server.job and api_server.job["spec"]["runtimeRef"]["name"] == "torch-distributed"
    assert "may not create TrainingRuntimes: using torch-distributed, which allows 6 restarts" in caplog.text
    api_server.job = None
    with pytest.raises(UserError, match=r"priority_class has no effect with .*: let this account create Training"):
        start(launcher="trainjob", priority_class="high")


def test_auto_goes_on_where_the_installed_runtime_cannot_take_an_option(
    api_server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    api_server.denied = {"trainingruntimes"}
    api_server.creates = "Succeeded"
    start(priority_class="high", num_nodes=2)
    assert kind(api_server) == "PyTorchJob"
    assert "no TrainJob (priority_class has no effect with runtime torch-distributed)" in caplog.text


def test_a_missing_installed_runtime_is_not_blamed_on_an_option(api_server: ApiServer) -> None:
    api_server.denied = {"trainingruntimes"}
    api_server.runtimes = set()
    with pytest.raises(UserError, match="no ClusterTrainingRuntime torch-distributed: install it, or let this account"):
        start()


@pytest.mark.parametrize("served", ["pytorchjobs", "jobs"])
def test_a_runtime_is_not_ignored_where_there_are_no_trainjobs(api_server: ApiServer, served: str) -> None:
    api_server.served = {served: api_server.served[served]}
    with pytest.raises(UserError, match=r"launcher auto found no TrainJob \(not served .* has no `runtime`"):
        start(runtime="mine")
    assert api_server.posts == 0


def test_a_kind_that_is_not_served_is_no_missing_permission(api_server: ApiServer) -> None:
    del api_server.served["trainjobs"]
    api_server.denied = {"trainjobs", "trainingruntimes"}
    with pytest.raises(
        UserError, match=r"^this cluster has no TrainJob \(trainer\.kubeflow\.org/v1alpha1\): choose another"
    ):
        start(launcher="trainjob")


def test_an_admission_check_is_not_a_missing_permission(api_server: ApiServer) -> None:
    """It is reported at once; a missing permission is retried while a server may be starting."""
    message = 'pytorchjobs.kubeflow.org "job" is forbidden: exceeded quota: team, requested: count=1'
    api_server.refuses_jobs = (403, {"message": message})
    with pytest.raises(UserError, match=r"^the cluster refuses the job: .* exceeded quota: team"):
        start(launcher="pytorchjob")


def test_all_settings_of_a_trainjob_are_in_its_runtime() -> None:
    options = {"image_pull_policy": "Always", "keep_finished_hours": 2, "priority_class": "high", "max_restarts": 3}
    job = make(num_nodes=6, **options)
    runtime = runtime_manifest(job)
    [node] = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    spec = node["template"]["spec"]["template"]["spec"]
    assert runtime["spec"]["template"]["spec"]["ttlSecondsAfterFinished"] == 7200
    assert spec["containers"][0]["imagePullPolicy"] == "Always" and spec["priorityClassName"] == "high"
    assert spec["automountServiceAccountToken"] is False and spec["restartPolicy"] == "OnFailure"
    # Six nodes restart together when one fails: three times must stay below the limit.
    assert node["template"]["spec"]["backoffLimit"] > 6 * 3
    assert TRAINJOB.manifest(job)["spec"]["runtimeRef"]["name"] == runtime["metadata"]["name"]
    other = runtime_manifest(make(num_nodes=6, **{**options, "max_restarts": 4}))
    assert other["metadata"]["name"] != runtime["metadata"]["name"]
