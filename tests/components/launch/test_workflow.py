"""A run that is over is told from one that goes on, by its Workflow."""

import datetime
from typing import Any

import pytest
import urllib3
from kubernetes.client.exceptions import ApiException

from compaware.components.launch.job import Job
from compaware.components.launch.options import JobOptions
from compaware.components.launch.workflow import ask_why_over, why_over

# A Workflow of KFP 2.17 and Argo 4.0.5 after `terminate`, without its nodes and templates.
TERMINATED: dict[str, Any] = {
    "metadata": {
        "labels": {
            "pipeline/persistedFinalState": "true",
            "workflows.argoproj.io/completed": "true",
            "workflows.argoproj.io/phase": "Failed",
        },
        "name": "compaware-distillation-bgqzx",
    },
    "spec": {
        "activeDeadlineSeconds": 0,
        "shutdown": None,
        "ttlStrategy": {"secondsAfterCompletion": 3600, "secondsAfterFailure": 3600, "secondsAfterSuccess": 3600},
    },
    "status": {
        "phase": "Failed",
        "message": "retry exceeded workflow deadline 2026-11-30 10:42:23 +0000 UTC",
        "startedAt": "2026-11-30T10:42:23Z",
    },
}


def running(seconds_ago: float = 3600.0, **spec: Any) -> dict[str, Any]:
    """The same Workflow while it runs, with other fields in its spec."""
    started = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds_ago)
    status = {"phase": "Running", "startedAt": started.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {"metadata": {"name": "x"}, "spec": {"shutdown": None, **spec}, "status": status}


@pytest.mark.parametrize(
    ("workflow", "reason"),
    [
        (None, "the run was deleted"),
        ({**running(), "metadata": {"deletionTimestamp": "2026-11-30T10:44:20Z"}}, "the run was deleted"),
        (TERMINATED, "the run has ended (Failed)"),
        (running(activeDeadlineSeconds=0), "the run was terminated"),
        ({**running(activeDeadlineSeconds=0), "status": {}}, "the run was terminated"),
        (running(shutdown="Terminate"), "the run was terminated"),
        (running(activeDeadlineSeconds=3600), "the run has exceeded its deadline of 3600 s"),
        (running(activeDeadlineSeconds=86400), ""),
        (running(), ""),
        ({**running(), "status": {}}, ""),
    ],
)
def test_why_a_run_is_over(workflow: dict[str, Any] | None, reason: str) -> None:
    assert why_over(workflow) == reason


class Api:
    """Answers with a Workflow or an error."""

    namespace = "kubeflow"

    def __init__(self, answer: dict[str, Any] | Exception):
        self._answer = answer

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/apis/argoproj.io/v1alpha1/namespaces/kubeflow/workflows/compaware-distillation-bgqzx"
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (running(), ""),
        (running(activeDeadlineSeconds=0), "the run was terminated"),
        (ApiException(status=404), "the run was deleted"),
        # The job must not be lost because the server does not answer, nor run on because nobody may ask.
        (ApiException(status=503), ""),
        (urllib3.exceptions.ReadTimeoutError(None, "", "timed out"), ""),
        (ApiException(status=403, reason="Forbidden"), "it is not known whether the run continues (403 Forbidden)"),
    ],
)
def test_why_a_run_is_over_is_asked_once(answer: dict[str, Any] | Exception, reason: str) -> None:
    workflow = {"kind": "Workflow", "name": "compaware-distillation-bgqzx"}
    job = Job("job", "distillation", {}, JobOptions(), owners=(workflow,))
    assert ask_why_over(Api(answer), job) == reason
