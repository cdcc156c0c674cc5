"""Decides from the states of a job and its pods whether it runs, has succeeded or has failed, and why."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from compaware.components.launch.job import JobKind
from compaware.components.launch.kueue import QueueState
from compaware.components.launch.options import JobOptions
from compaware.components.launch.pod_failures import PodFailure, failures_of, one_line, why_waiting

# The failures of a job and of its pods arrive by different watches, so the verdict waits for both.
SETTLE_S = 2.0
NO_POD = "no pod was created"


class Verdict(NamedTuple):
    """The outcome of a job.

    Attributes:
        outcome: Success, failure, or an error that the user can fix.
        reason: One line; empty for success.
        must_stop: The job still runs, or would restart, and must be deleted.
    """

    outcome: Literal["succeeded", "failed", "user error"]
    reason: str = ""
    must_stop: bool = False


class Tracker:
    """Tracks the state of a job and its pods."""

    def __init__(self, kind: JobKind, name: str, options: JobOptions):
        self._kind = kind
        self._title = f"{kind.title} {name}"
        self._options = options
        self._job: dict[str, Any] | None = None
        self._pods: Mapping[str, dict[str, Any]] = {}
        self._job_is_known = False
        self._failures: dict[tuple[str, str, int], PodFailure] = {}
        self._queue_state: QueueState | None = None
        self._warning = ""
        self._pending_since_s: float | None = None
        self._ending_since_s: float | None = None

    def update_job(self, job: dict[str, Any] | None) -> None:
        """Updates the job's object; None if it does not exist."""
        self._job = job
        self._job_is_known = True

    def suspended_job(self) -> dict[str, Any] | None:
        """Returns the job's object if it is suspended."""
        return self._job if self._job is not None and _is_suspended(self._job) else None

    def update_queue(self, state: QueueState | None) -> None:
        """Updates why the suspended job waits; None changes nothing."""
        self._queue_state = state or self._queue_state

    def lacks_pods(self) -> bool:
        """Whether the job should have pods, but has none."""
        return self._job is not None and not self._pods and not _is_suspended(self._job)

    def update_warning(self, warning: str) -> None:
        """Updates the last warning about a job without pods; an empty text changes nothing."""
        self._warning = warning or self._warning

    def update_pods(self, pods: Mapping[str, dict[str, Any]]) -> list[PodFailure]:
        """Updates the job's pods; returns the new failures."""
        self._pods = pods
        new = []
        for pod in pods.values():
            for key, failure in failures_of(pod, self._kind):
                if key not in self._failures:
                    self._failures[key] = failure
                    new.append(failure)
        return new

    def situation(self) -> str:
        """Describes the state of the job in a few words, for the log."""
        if self._job is None:
            return ""
        if _is_suspended(self._job):
            queue = self._options.queue_name
            suspended = f"suspended, waiting in queue {queue}" if queue else "suspended"
            return f"{suspended}: {self._queue_state.reason}" if self._queue_state else suspended
        waiting = self._waiting_pods()
        if not self._pods:
            return f"waiting for its pods: {self._warning}" if self._warning else "waiting for its pods"
        if waiting:
            return f"{len(waiting)} of {len(self._pods)} pods are waiting: {max(waiting, key=len)}"
        return "running"

    def verdict(self, now_s: float) -> Verdict | None:
        """Returns the outcome of the job; None while it runs.

        Args:
            now_s: Time of the monotonic clock.
        """
        if not self._job_is_known:
            return None
        if self._job is not None and _condition(self._job, self._kind.succeeded):
            return Verdict("succeeded")
        verdict = self._failed() or self._too_many_failures() or self._pending_too_long(now_s)
        if verdict is None:
            self._ending_since_s = None
            return None
        if self._ending_since_s is None:
            self._ending_since_s = now_s
        return verdict if now_s - self._ending_since_s >= SETTLE_S else None

    def _failed(self) -> Verdict | None:
        if self._job is None or "deletionTimestamp" in self._job["metadata"]:
            return Verdict("failed", f"{self._title} was deleted by someone else while this task waited for it")
        condition = _condition(self._job, "Failed")
        if condition is None:
            return None
        message = one_line(condition.get("message", ""))
        if "deadline" in (message + condition.get("reason", "")).lower():
            limit = f"timeout_hours ({self._options.timeout_hours:g})"
            return Verdict("failed", f"{self._title} did not finish within {limit}: raise it, or train less")
        worst = self._worst()
        if worst and worst.is_user_error:
            return Verdict("user error", worst.describe(self._options))
        because = worst.describe(self._options) if worst else message
        return Verdict("failed", f"{self._title} failed: {because}")

    def _too_many_failures(self) -> Verdict | None:
        worst = self._worst()
        if worst is None:
            return None
        if worst.is_user_error:
            return Verdict("user error", worst.describe(self._options), must_stop=True)
        if worst.is_permanent:
            return Verdict("failed", f"{self._title} failed: {worst.describe(self._options)}", must_stop=True)
        failures = Counter(failure.replica for failure in self._failures.values())
        given_up = {replica for replica, count in failures.items() if count > self._options.max_restarts}
        if self._can_do_without(given_up):
            return None
        limit = f"after {self._options.max_restarts} restarts" if self._options.max_restarts else "(max_restarts is 0)"
        return Verdict("failed", f"{self._title} failed {limit}: {worst.describe(self._options)}", must_stop=True)

    def _pending_too_long(self, now_s: float) -> Verdict | None:
        waits = self._waits()
        if not waits:
            self._pending_since_s = None
            return None
        if self._pending_since_s is None:
            self._pending_since_s = now_s
        limit = self._options.pending_limit_minutes
        if now_s - self._pending_since_s < limit * 60:
            return None
        reason = f"{self._title} did not start within pending_limit_minutes ({limit:g}): {max(waits, key=len)}"
        return Verdict("failed", reason, must_stop=True)

    def _waits(self) -> list[str]:
        """Returns what keeps the job from running; waiting for quota in a queue does not count."""
        if self._job is None:
            return []
        if _is_suspended(self._job):
            blocked = self._queue_state if self._queue_state and self._queue_state.is_blocked else None
            return [f"queue {self._options.queue_name}: {blocked.reason}"] if blocked else []
        self._queue_state = None
        pending = {self._kind.replica(pod) for pod in self._pods.values() if _is_pending(pod)}
        if self._pods and self._can_do_without(pending):
            return []
        return self._waiting_pods() or [NO_POD]

    def _can_do_without(self, replicas: set[str]) -> bool:
        """Whether the job runs without these pods; an elastic job needs `min_nodes`, and rank 0 for its rendezvous."""
        main = {self._kind.replica(pod) for pod in self._pods.values() if self._kind.is_main(pod)}
        needed = self._options.min_nodes or self._options.num_nodes
        return self._options.num_nodes - len(replicas) >= needed and not replicas & main

    def _waiting_pods(self) -> list[str]:
        return [why_waiting(pod) for pod in self._pods.values() if _is_pending(pod)]

    def _worst(self) -> PodFailure | None:
        return max(self._failures.values(), key=lambda failure: failure.severity, default=None)


def _condition(job: dict[str, Any], name: str) -> dict[str, Any] | None:
    conditions = job.get("status", {}).get("conditions") or []
    return next((item for item in conditions if item["type"] == name and item["status"] == "True"), None)


def _is_pending(pod: dict[str, Any]) -> bool:
    return pod["status"].get("phase", "Pending") == "Pending"


def _is_suspended(job: dict[str, Any]) -> bool:
    policy = job["spec"].get("runPolicy", job["spec"])
    return bool(policy.get("suspend")) or _condition(job, "Suspended") is not None
