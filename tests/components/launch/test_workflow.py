"""A run that is over is told from one that goes on, by its Workflow."""

import datetime
from typing import Any

import pytest

from compaware.components.launch.workflow import why_over

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
