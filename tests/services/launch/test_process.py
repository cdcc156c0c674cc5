"""The launcher is killed or terminated, or its run is deleted: the job is adopted by a retry, or deleted."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from compaware.components.launch.job import Job
from compaware.components.launch.options import JobOptions
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.launch.task import POD_VARIABLE, task_job
from tests.services.launch.conftest import Site
from tests.services.launch.waiting import eventually

CONFIG = {"output": "s3://bucket/out"}
PROGRAM = """
import json, sys
from compaware.components.launch import JobOptions, run_job
run_job("distillation", json.loads(sys.argv[1]), JobOptions(num_nodes=2))
"""


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    """The launchers that a test starts; they are killed at its end."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def launcher_pod(site: Site, attempt: int = 0) -> dict[str, Any]:
    """A launcher's pod as Argo makes it, and a ConfigMap in place of the run's Workflow."""
    core = f"/api/v1/namespaces/{site.api.namespace}"
    if attempt == 0:
        site.direct.create(f"{core}/configmaps", {"metadata": {"name": "workflow"}})
    workflow = site.direct.get(f"{core}/configmaps/workflow")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "workflow", "uid": workflow["metadata"]["uid"]}
    metadata = {
        "name": f"launcher-{attempt}",
        "labels": {"pipeline/runid": "run-1"},
        "annotations": {"workflows.argoproj.io/node-name": f"run.root.distillation.executor({attempt})"},
        "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
    }
    spec = {"containers": [{"name": "main", "image": "none"}], "automountServiceAccountToken": False}
    return site.direct.create(f"{core}/pods", {"metadata": metadata, "spec": spec})


def start(site: Site, processes: list[subprocess.Popen[str]], attempt: int = 0) -> subprocess.Popen[str]:
    environment = {**os.environ, "KUBECONFIG": str(site.kubeconfig), POD_VARIABLE: f"launcher-{attempt}"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(CONFIG)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    processes.append(process)
    return process


def the_job(site: Site, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setenv(POD_VARIABLE, "launcher-0")
    return task_job(site.direct, "distillation", CONFIG, JobOptions(num_nodes=2))


def job_uids(site: Site) -> list[str]:
    return [item["metadata"]["uid"] for item in site.direct.get(PYTORCHJOB.path(site.api.namespace))["items"]]


def test_a_retry_of_a_killed_launcher_adopts_the_job(
    site: Site, processes: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher_pod(site)
    first = start(site, processes)
    uids = eventually(lambda: job_uids(site))
    first.kill()
    launcher_pod(site, attempt=1)
    second = start(site, processes, attempt=1)
    operator = site.operator(the_job(site, monkeypatch))
    operator.run_pods()
    operator.set_condition("Succeeded")
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 0
    assert "exists: adopting it" in output
    assert job_uids(site) == uids


def test_sigterm_deletes_the_job_and_exits_with_143(site: Site, processes: list[subprocess.Popen[str]]) -> None:
    launcher_pod(site)
    process = start(site, processes)
    eventually(lambda: job_uids(site))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert job_uids(site) == []


def test_deleting_the_run_deletes_the_job(
    site: Site, processes: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher_pod(site)
    process = start(site, processes)
    eventually(lambda: job_uids(site))
    job = the_job(site, monkeypatch)
    [owner] = site.operator(job).job()["metadata"]["ownerReferences"]
    assert owner["name"] == "workflow" and not owner.get("controller")
    process.kill()
    site.direct.delete(f"/api/v1/namespaces/{site.api.namespace}/configmaps/workflow")
    eventually(lambda: job_uids(site) == [], timeout_s=90)
