"""The launcher is killed or interrupted, or its run is terminated or deleted: a next try adopts the job, or it ends."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from compaware.components.launch.job import Job
from compaware.components.launch.lease import LEASE_S, leased
from compaware.components.launch.options import JobOptions
from compaware.components.launch.task import task_job
from compaware.components.launch.workflow import POD_VARIABLE
from tests.services.launch.argo import Run, expire, interrupt
from tests.services.launch.conftest import Site
from tests.services.launch.waiting import eventually

LEASES = "/apis/batch/v1/namespaces/{}/jobs"
CONFIG = {"output": "s3://bucket/out"}
PROGRAM = """
import json, sys
from compaware.components.launch import JobOptions, run_job
run_job("distillation", json.loads(sys.argv[1]), JobOptions(launcher="pytorchjob", num_nodes=2))
"""
# A task of a few minutes in its own pod.
IN_THE_POD = """
import sys
from compaware.components.launch import JobOptions, run_job, torchrun
work = [sys.executable, "-c", "import time; time.sleep(2); print('working', flush=True); time.sleep(300)"]
torchrun.TorchrunLauncher.create = lambda self, job: setattr(self, "_child", torchrun.start_child(work))
run_job("benchmark", {}, JobOptions(launcher="torchrun"))
"""


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    """The launchers that a test starts; they are killed at its end."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def run(site: Site) -> Run:
    """A run whose task starts a job."""
    return Run(site.direct)


def start(site: Site, processes: list[subprocess.Popen[str]], pod: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "KUBECONFIG": str(site.kubeconfig), POD_VARIABLE: pod}
    command = [sys.executable, "-c", PROGRAM, json.dumps(CONFIG)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    processes.append(process)
    return process


def watches_the_run(site: Site) -> bool:
    return any("/workflows" in path and "watch=true" in path for _, path in site.proxy.requests)


def start_waiting(site: Site, processes: list[subprocess.Popen[str]], pod: str) -> subprocess.Popen[str]:
    """Starts a launcher and returns when it waits for its job."""
    process = start(site, processes, pod)
    eventually(lambda: site.job_uids() and watches_the_run(site))
    return process


def the_job(site: Site, pod: str, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setenv(POD_VARIABLE, pod)
    return task_job(site.direct, "distillation", CONFIG, JobOptions(launcher="pytorchjob", num_nodes=2))


def the_lease(site: Site) -> dict[str, Any]:
    [lease] = site.direct.get(LEASES.format(site.api.namespace))["items"]
    return lease


def assert_adopted(
    site: Site, run: Run, processes: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second try of the task finishes with the first one's job."""
    uids = site.job_uids()
    pod = run.create_pod(attempt=1)
    second = start(site, processes, pod)
    operator = site.operator(the_job(site, pod, monkeypatch))
    operator.run_pods()
    operator.set_condition("Succeeded")
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    assert "exists: adopting it" in output
    assert len(uids) == 1 and site.job_uids() == uids


def test_a_retry_of_a_killed_launcher_adopts_the_job(
    site: Site, run: Run, processes: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    start_waiting(site, processes, run.create_pod()).kill()
    assert_adopted(site, run, processes, monkeypatch)


def test_an_interrupted_launcher_leaves_its_job_to_the_next_try(
    site: Site, run: Run, processes: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = run.create_pod()
    process = start_waiting(site, processes, pod)
    interrupt(process)
    output, _ = process.communicate(timeout=30)
    assert process.returncode in (143, -signal.SIGKILL), output
    assert not run.has_pod(pod), "Argo repeats the task of a pod that does not exist, but not of one that failed"
    assert_adopted(site, run, processes, monkeypatch)


def test_an_interrupted_task_without_a_job_is_tried_again_unless_its_run_is_over(
    site: Site, run: Run, processes: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.services.launch.test_process.PROGRAM", IN_THE_POD)
    for is_over in (False, True):
        pod = run.create_pod(attempt=int(is_over))
        process = start(site, processes, pod)
        eventually(lambda pod=pod: any(path.endswith(f"/pods/{pod}") for _, path in site.proxy.requests))
        assert process.stdout and process.stdout.readline() == "working\n"
        if is_over:
            run.terminate()
        interrupt(process)
        assert run.has_pod(pod) == is_over


def test_a_terminated_run_deletes_its_job_before_the_launcher_gets_a_signal(
    site: Site, run: Run, processes: list[subprocess.Popen[str]]
) -> None:
    process = start_waiting(site, processes, run.create_pod())
    run.terminate()
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "the run was terminated" in output
    assert site.job_uids() == []


def test_a_signal_in_a_terminated_run_deletes_the_job(
    site: Site, run: Run, processes: list[subprocess.Popen[str]]
) -> None:
    site.proxy.hides = "/workflows?"
    process = start(site, processes, run.create_pod())
    eventually(lambda: site.job_uids())
    run.terminate()
    interrupt(process)
    output, _ = process.communicate(timeout=30)
    assert process.returncode in (143, -signal.SIGKILL), output
    assert site.job_uids() == []


def test_deleting_the_run_deletes_the_job_of_a_killed_launcher(
    site: Site, run: Run, processes: list[subprocess.Popen[str]]
) -> None:
    process = start_waiting(site, processes, run.create_pod())
    [owner] = the_lease(site)["metadata"]["ownerReferences"]
    assert owner["kind"] == "Workflow" and not owner.get("controller")
    process.kill()
    run.delete()
    eventually(lambda: site.job_uids() == [], timeout_s=90)


def test_a_job_without_a_launcher_ends_with_its_lease_and_is_not_adopted(
    site: Site, run: Run, processes: list[subprocess.Popen[str]]
) -> None:
    start_waiting(site, processes, run.create_pod()).kill()
    [uid] = site.job_uids()
    lease = the_lease(site)
    assert lease["spec"]["parallelism"] == 0, "it has no pods"
    assert lease["spec"]["activeDeadlineSeconds"] == LEASE_S
    expire(site.direct, f"{LEASES.format(site.api.namespace)}/{lease['metadata']['name']}")
    start(site, processes, run.create_pod(attempt=1))
    eventually(lambda: site.job_uids() not in ([], [uid]), timeout_s=90)
    assert the_lease(site)["metadata"]["uid"] != lease["metadata"]["uid"]


def test_a_lease_is_renewed_taken_over_and_kept_for_an_ended_job(
    site: Site, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compaware.components.launch.lease.RENEW_S", 0.2)
    job = the_job(site, run.create_pod(), monkeypatch)

    def deadline() -> int:
        return the_lease(site)["spec"]["activeDeadlineSeconds"]

    with contextlib.suppress(SystemExit), leased(site.api, job) as first:
        eventually(lambda: deadline() > LEASE_S)
        raise SystemExit(143)
    left = deadline()
    with leased(site.api, job) as second:
        assert second.lease == first.lease
        eventually(lambda: deadline() > left)
    assert job.ttl_s <= deadline() < job.ttl_s + 60


@pytest.mark.parametrize("status", [403, 422])
def test_a_cluster_that_refuses_leases_runs_the_job_without_one(
    site: Site, run: Run, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr("compaware.components.launch.api.RBAC_WARM_UP_S", 0.5)
    job = the_job(site, run.create_pod(), monkeypatch)
    site.proxy.hides, site.proxy.hides_with = "/apis/batch/v1/", status
    with leased(site.api, job) as unleased:
        assert site.proxy.met > 0
        assert unleased == job and unleased.owners[0]["kind"] == "Workflow"
