"""The status of a failed pod is turned into one line with the error, and the job is stopped if a retry cannot help."""

from typing import Any

import pytest

from compaware.components.core.base.errors import FAULT_EXIT_CODE
from compaware.components.launch.failure import SETTLE_S, Tracker, Verdict
from compaware.components.launch.options import JobOptions
from compaware.components.launch.pytorchjob import PYTORCHJOB

SUMMARY = """\
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
compaware.components.distillation FAILED
------------------------------------------------------------
Failures:
  <NO_OTHER_FAILURES>
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2030-01-01_11:19:27
  host      : localhost
  rank      : 0 (local_rank: 0)
  exitcode  : 1 (pid: 16263)
  error_file: {error_file}
  traceback : {traceback}
============================================================
"""
BARE = SUMMARY.format(
    error_file="<N/A>",
    traceback="To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html",
)
RECORDED = SUMMARY.format(
    error_file="/tmp/error.json",
    traceback='Traceback (most recent call last):\n    File "x.py", line 3, in run\n  ValueError: no such split\n',
)


def verdict(*pods: dict[str, Any], **options: Any) -> Verdict | None:
    tracker = Tracker(PYTORCHJOB, "job", JobOptions(num_nodes=max(1, len(pods)), **options))
    tracker.update_job({"metadata": {"name": "job"}, "spec": {}, "status": {}})
    tracker.update_pods({pod["metadata"]["name"]: pod for pod in pods})
    assert tracker.verdict(0.0) is None, "the pods of one failure are reported one by one"
    return tracker.verdict(SETTLE_S)


def pod(name: str, exit_code: int, message: str, restarts: int = 1) -> dict[str, Any]:
    labels = {"training.kubeflow.org/replica-type": "worker", "training.kubeflow.org/replica-index": name}
    ended = {"terminated": {"exitCode": exit_code, "reason": "Error", "message": message}}
    status = {"name": "pytorch", "restartCount": restarts, "state": {"running": {}}, "lastState": ended}
    metadata = {"name": name, "uid": name, "labels": labels}
    return {"metadata": metadata, "status": {"phase": "Running", "containerStatuses": [status]}}


def test_a_bug_ends_the_job_at_once() -> None:
    message = "fault: TypeError: 'module' object is not callable (trace: /work/trace.txt)"
    ended = verdict(
        pod("0", 1, "RuntimeError: Connection closed by peer"), pod("1", FAULT_EXIT_CODE, message), max_restarts=3
    )
    assert ended and ended.must_stop and ended.outcome == "failed"
    assert ended.reason == (
        "PyTorchJob job failed: pod 1 failed (exit code 70): "
        "TypeError: 'module' object is not callable (trace: /work/trace.txt)"
    )


def test_other_failures_are_retried() -> None:
    assert verdict(pod("0", 1, "OSError: No space left on device"), max_restarts=3) is None


@pytest.mark.parametrize(
    ("message", "details"),
    [
        (BARE, "; its last lines are above"),
        (BARE[-700:], "; its last lines are above"),
        (BARE[-300:], "; its last lines are above"),
        ("============================================================\n", "; its last lines are above"),
        (f"KeyError: 'loss'\n{BARE}", ": KeyError: 'loss'"),
        (RECORDED, ": ValueError: no such split"),
        ("something odd\n", ": something odd"),
        ("", "; its last lines are above"),
        (f"unavailable: the store is away\n{BARE}", ": the store is away"),
    ],
)
def test_torchruns_summary_is_not_the_reason(message: str, details: str) -> None:
    ended = verdict(pod("0", 1, message), max_restarts=0)
    assert ended
    assert ended.reason == f"PyTorchJob job failed (max_restarts is 0): pod 0 failed (exit code 1){details}"


def test_an_error_of_the_user_is_reported_before_a_bug() -> None:
    ended = verdict(pod("0", FAULT_EXIT_CODE, "fault: KeyError: 3"), pod("1", 2, "error: 'epochs' is 0"))
    assert ended == Verdict("user error", "'epochs' is 0", must_stop=True)


def failing(name: str, restarts: int) -> list[dict[str, Any]]:
    return [pod(name, 1, "failed: ValueError: bad disk", number) for number in range(1, restarts + 1)]


def running(name: str) -> dict[str, Any]:
    labels = {"training.kubeflow.org/replica-type": "worker", "training.kubeflow.org/replica-index": name}
    labels |= {"training.kubeflow.org/job-role": "master"} if name == "0" else {}
    return {"metadata": {"name": name, "uid": name, "labels": labels}, "status": {"phase": "Running"}}


def pending(name: str) -> dict[str, Any]:
    return {**running(name), "status": {"phase": "Pending"}}


def verdict_of(tracker: Tracker, *states: list[dict[str, Any]]) -> Verdict | None:
    for pods in states:
        tracker.update_pods({one["metadata"]["name"]: one for one in pods})
        tracker.verdict(0.0)
    tracker.verdict(100.0)
    return tracker.verdict(100.0 + SETTLE_S)


def new_elastic() -> Tracker:
    tracker = Tracker(PYTORCHJOB, "job", JobOptions(num_nodes=3, min_nodes=2, max_restarts=2, pending_limit_minutes=1))
    tracker.update_job({"metadata": {"name": "job"}, "spec": {}, "status": {}})
    return tracker


def test_an_elastic_job_lives_while_min_nodes_run() -> None:
    broken = [[running("0"), running("1"), node] for node in failing("2", 5)]
    assert verdict_of(new_elastic(), *broken) is None, "node 2 fails more often than max_restarts"
    assert verdict_of(new_elastic(), [running("0"), running("1"), pending("2")]) is None, "it has no replacement"


def test_an_elastic_job_fails_without_min_nodes_or_without_rank_0() -> None:
    broken = [[running("0"), *nodes] for nodes in zip(failing("1", 3), failing("2", 3), strict=True)]
    failed = verdict_of(new_elastic(), *broken)
    assert failed is not None and "failed after 2 restarts" in failed.reason
    waits = verdict_of(new_elastic(), [running("0"), pending("1"), pending("2")])
    assert waits is not None and "did not start within pending_limit_minutes (1)" in waits.reason
    assert verdict_of(new_elastic(), [pending("0"), running("1"), running("2")]) is not None
