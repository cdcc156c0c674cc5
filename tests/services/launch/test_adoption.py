"""A task has one job: a retry adopts it."""

from dataclasses import replace
from typing import Any

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.launch.batchjob import BATCHJOB
from compaware.components.launch.cluster import ClusterLauncher
from compaware.components.launch.errors import JobError, OldKindError
from compaware.components.launch.job import JobKind
from compaware.components.launch.kinds import KINDS, choose, cluster_launcher
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.launch.trainjob import RUNTIMES, TRAINJOB, TrainJobLauncher, runtime_manifest
from tests.services.launch.conftest import Site, Waiting
from tests.services.launch.operator import terminated
from tests.services.launch.queues import LocalQueue
from tests.services.launch.waiting import eventually


def lost_fields(sent: Any, stored: Any, path: str = "spec") -> list[str]:
    """Returns the paths of fields in `sent` that differ in `stored`; the server may have added defaults."""
    if isinstance(sent, dict):
        return [lost for key, value in sent.items() for lost in lost_fields(value, stored.get(key), f"{path}.{key}")]
    if isinstance(sent, list):
        return [lost for n, value in enumerate(sent) for lost in lost_fields(value, stored[n], f"{path}[{n}]")]
    return [] if sent == stored else [path]


def test_the_same_task_adopts_its_job(site: Site) -> None:
    job = site.job()
    ClusterLauncher(PYTORCHJOB, site.api).create(job)
    before = site.job_uids()
    ClusterLauncher(PYTORCHJOB, site.api).create(job)
    assert len(before) == 1 and site.job_uids() == before


def test_an_adopted_job_that_ended_meanwhile_is_reported(site: Site) -> None:
    job = site.job()
    ClusterLauncher(PYTORCHJOB, site.api).create(job)
    site.operator(job).set_condition("Succeeded")
    Waiting(site, job).end()


def test_other_settings_under_the_same_name_are_refused(site: Site) -> None:
    ClusterLauncher(PYTORCHJOB, site.api).create(site.job())
    with pytest.raises(UserError, match=r"exists with other settings: delete it \(kubectl delete pytorchjobs"):
        ClusterLauncher(PYTORCHJOB, site.api).create(site.job(cpu_per_node="8"))
    assert len(site.job_uids()) == 1


def test_a_failure_is_reported_once_and_a_retry_replaces_the_job(site: Site) -> None:
    job = site.job(max_restarts=0)
    first, operator = Waiting(site, job), site.operator(job)
    names = operator.run_pods()
    operator.set_pod(names[1], "Failed", terminated(1))
    operator.set_condition("Failed", "1 Worker replica(s) failed")
    with pytest.raises(JobError):
        first.end()
    failed = site.job_uids()
    assert len(failed) == 1, "the failed job and its pods are kept"
    for name in names:
        operator.delete_pod(name)  # As the garbage collector does, without a kubelet to confirm it.
    again = Waiting(site, job)
    eventually(lambda: site.job_uids() and site.job_uids() != failed)
    operator.run_pods()
    operator.set_condition("Succeeded")
    again.end()


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
def test_a_retry_takes_the_kind_of_the_job_that_exists(site: Site, kind: JobKind) -> None:
    job = site.job(num_nodes=1)
    assert choose(site.api, job) == list(KINDS.values())
    cluster_launcher(kind, site.api).create(job)
    assert choose(site.api, job) == [kind]


@pytest.mark.parametrize("kind", [PYTORCHJOB, TRAINJOB], ids=lambda kind: kind.title)
def test_a_retry_replaces_the_job_after_the_end_of_its_pods(site: Site, kind: JobKind) -> None:
    """An old JobSet of this name would make the Trainer give its state to the new TrainJob.

    The garbage collector waits for the pods under this policy, once it knows the kind of the job.
    """
    job = site.job(max_restarts=0)
    first, operator = Waiting(site, job, kind), site.operator(job, kind)
    name, _ = operator.run_pods()
    operator.set_pod(name, "Failed", terminated(1))
    operator.fail()
    with pytest.raises(JobError):
        first.end()
    old = operator.job()["metadata"]["uid"]
    again = Waiting(site, job, kind)
    eventually(lambda: (operator.job() or {"metadata": {"uid": old}})["metadata"]["uid"] != old, timeout_s=60)
    [policy] = [path for method, path in site.proxy.requests if method == "DELETE" and f"/{job.name}" in path]
    assert "propagationPolicy=Foreground" in policy
    operator.run_pods()
    operator.succeed()
    again.end()


def test_a_job_that_is_being_deleted_is_waited_for(site: Site) -> None:
    job = site.job()
    ClusterLauncher(PYTORCHJOB, site.api).create(job)
    [uid] = site.job_uids()
    operator = site.operator(job)
    site.direct.patch(operator.path, {"metadata": {"finalizers": ["tests/hold"]}})
    site.direct.delete(operator.path)
    waiting = Waiting(site, job)
    waiting.join(2)
    assert site.job_uids() == [uid]
    site.direct.patch(operator.path, {"metadata": {"finalizers": []}})
    eventually(lambda: site.job_uids() not in ([], [uid]))
    operator.run_pods()
    operator.set_condition("Succeeded")
    waiting.end()


def test_the_api_server_keeps_all_fields(site: Site) -> None:
    """The server drops fields that its definitions do not have, such as a misspelt one."""
    LocalQueue(site, "team-a")
    job = site.job(
        volumes={"cache": "/cache"},
        tolerations=[{"key": "training", "operator": "Exists"}],
        node_selector={"pool": "cpu"},
        image_pull_secrets=["registry"],
        service_account="trainer",
        queue_name="team-a",
        secret_env={"HF_TOKEN": {"secret": "hub", "key": "token"}},
    )
    elastic = site.job(component="elastic", min_nodes=1, max_nodes=4, priority_class="high")
    for kind, created in ((PYTORCHJOB, job), (PYTORCHJOB, elastic), (TRAINJOB, job)):
        cluster_launcher(kind, site.api).create(created)
        stored = site.operator(created, kind).job()
        assert lost_fields(kind.manifest(created)["spec"], stored["spec"]) == []
    runtime = runtime_manifest(job)
    path = f"/apis/{TRAINJOB.group_version}/namespaces/{site.api.namespace}/{RUNTIMES}"
    stored = site.direct.get(f"{path}/{runtime['metadata']['name']}")
    assert lost_fields(runtime["spec"], stored["spec"]) == []


def test_nothing_is_left_of_a_job_whose_fields_the_server_drops(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """This server drops fields that its definition does not have, as one with Trainer 2.1 drops `runtimePatches`."""
    unknown = replace(TRAINJOB, required_fields=("runtimePatches", "noSuchField"))
    monkeypatch.setattr("compaware.components.launch.trainjob.TRAINJOB", unknown)
    with pytest.raises(OldKindError, match=r"TrainJob has no noSuchField: install Kubeflow Trainer 2\.2"):
        TrainJobLauncher(site.api).create(site.job())
    for plural in ("trainjobs", RUNTIMES):
        path = f"/apis/{TRAINJOB.group_version}/namespaces/{site.api.namespace}/{plural}"
        assert eventually(lambda path=path: site.direct.get(path)["items"] == [])


def test_a_batch_job_keeps_what_kubernetes_1_20_knows(site: Site) -> None:
    LocalQueue(site, "team-a")
    job = site.job(num_nodes=1, queue_name="team-a", priority_class="high")
    cluster_launcher(BATCHJOB, site.api).create(job)
    stored = site.operator(job, BATCHJOB).job()
    assert set(lost_fields(BATCHJOB.manifest(job)["spec"], stored["spec"])) <= {
        "spec.suspend",
        "spec.ttlSecondsAfterFinished",
    }


def test_a_missing_kind_is_named(site: Site) -> None:
    other = replace(PYTORCHJOB, plural="horovodjobs", title="HorovodJob")
    with pytest.raises(UserError, match=r"this cluster has no HorovodJob \(kubeflow.org/v1\)"):
        ClusterLauncher(other, site.api).create(site.job())
