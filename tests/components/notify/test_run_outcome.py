"""An exit task finds out how its run ended."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from compaware.components.notify import run_outcome
from compaware.components.notify.run_outcome import find_outcome

WORKFLOW = "compaware-distillation-ptpd7"
NODE = f"{WORKFLOW}(0).root(0).change-check(0).executor"


def failed_nodes() -> dict[str, Any]:
    """Nodes of a failed run of KFP 2.17 and Argo 4.0.5, without those that succeeded and those above the stage."""
    failed = {"phase": "Failed", "message": "main: Error (exit code 1)"}
    pod = {"id": "a", "name": f"{NODE}(0)", "type": "Pod", "children": None, "finishedAt": "2026-11-30T10:41:51Z"}
    retry = {"id": "b", "name": NODE, "type": "Retry", "children": ["a"], "finishedAt": "2026-11-30T10:41:54Z"}
    return {"a": failed | pod, "b": failed | retry}


class Cluster:
    """Stands in for the Kubernetes API: this task's Workflow, the pod that failed, and its log."""

    namespace = "kubeflow"

    def __init__(self) -> None:
        self.spec: dict[str, Any] = {}
        self.nodes = failed_nodes()
        self.log = ["12:00:01 INFO reading", "error: there is no object with that key: check the URI"]
        self.refusal: ApiException | None = None

    def get(self, path: str, **query: str) -> dict[str, Any]:
        if self.refusal:
            raise self.refusal
        if "/workflows/" in path:
            annotations = {"pipelines.kubeflow.org/run_name": "nightly 3"}
            return {"metadata": {"annotations": annotations}, "spec": self.spec, "status": {"nodes": self.nodes}}
        pod = {"metadata": {"name": "pod-1", "labels": {"workflows.argoproj.io/workflow": WORKFLOW}}}
        if query:
            pod["metadata"]["annotations"] = {"workflows.argoproj.io/node-name": f"{NODE}(0)"}
            return {"items": [pod]}
        return pod

    def lines(self, path: str, **query: str) -> Iterator[str]:
        assert path.endswith("/pods/pod-1/log") and query["container"] == "main"
        return iter(self.log)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    monkeypatch.setenv("KFP_POD_NAME", "notify-pod")
    monkeypatch.setattr(run_outcome, "Api", lambda: cluster)
    return cluster


def test_a_failure_has_its_stage_its_reason_and_the_name_of_the_run(cluster: Cluster):
    outcome = find_outcome("id", "", "RUNNING", "")
    assert (outcome.state, outcome.run_name) == ("FAILED", "nightly 3")
    assert outcome.reason == "change-check: there is no object with that key: check the URI"
    cluster.log = ["nothing of ours"]
    assert find_outcome("id", "", "RUNNING", "").reason == "change-check: Error (exit code 1)"


def test_a_try_that_was_repeated_with_success_is_no_failure(cluster: Cluster):
    cluster.nodes["b"]["phase"] = "Succeeded"
    assert find_outcome("id", "", "COMPLETE", "").state == "SUCCEEDED"


@pytest.mark.parametrize("spec", [{"activeDeadlineSeconds": 0}, {"shutdown": "Terminate"}])
def test_a_stopped_run_is_not_reported_as_failed(cluster: Cluster, spec: dict[str, Any]):
    cluster.spec = spec
    outcome = find_outcome("id", "", "FAILED", "")
    assert (outcome.state, outcome.reason) == ("CANCELED", "")
    assert outcome.message(None)["text"].startswith("`nightly 3` was stopped")


def test_a_state_that_cannot_be_known_is_not_guessed(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    cluster.refusal = ApiException(status=403, reason="Forbidden")
    outcome = find_outcome("id", "", "RUNNING", "")
    assert (outcome.state, outcome.run_name) == ("ENDED", "id")
    assert "KFP does not tell how" in outcome.message(None)["text"]
    assert "cannot be read" in caplog.text


def test_without_access_to_the_cluster_kfps_word_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("KFP_POD_NAME", "notify-pod")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    assert find_outcome("id", "nightly", "COMPLETE", "").state == "SUCCEEDED"
