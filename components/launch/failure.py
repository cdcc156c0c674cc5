"""From the states of a job and its pods to one verdict: it goes on, it succeeded, or why it failed and by whom."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from compaware.components.core.base.errors import (
    ERROR_PREFIX,
    FAILURE_PREFIX,
    FAULT_EXIT_CODE,
    FAULT_PREFIX,
    UNAVAILABLE_EXIT_CODE,
    UNAVAILABLE_PREFIX,
    USER_ERROR_EXIT_CODE,
)
from compaware.components.launch.job import JobKind
from compaware.components.launch.options import JobOptions
from compaware.components.launch.torchrun import EXCEPTION

# The job's failure and its pods' come by different watches: what is known this much later is all there is.
SETTLE_S = 2.0
_SIGNALLED = 128
# What torchrun writes after its processes have ended: that one failed, and with which exit code, but not why.
_TORCHRUN = re.compile(
    r"torch/distributed/|torch\.distributed\.|={20}|first observed failure|error_file *:|exitcode *:"
)


class PodFailure(NamedTuple):
    """One life of a container, or a pod, that ended badly."""

    pod: str
    container: str
    replica: str
    exit_code: int | None
    reason: str
    message: str
    previous: bool

    @property
    def severity(self) -> int:
        """How much it explains: a node that died or lost its store makes its peers fail, too, with less to say."""
        if self.is_user_error:
            return 5
        if self.is_fault:
            return 4
        if self.reason == "OOMKilled":
            return 3
        if self.exit_code is None or self.exit_code >= _SIGNALLED or self.exit_code == UNAVAILABLE_EXIT_CODE:
            return 2
        return 1 if _reason(self.message) else 0

    @property
    def is_user_error(self) -> bool:
        """Whether the component said that the user can mend it."""
        return self.exit_code == USER_ERROR_EXIT_CODE

    @property
    def is_fault(self) -> bool:
        """Whether the component ended by a fault of ours."""
        return self.exit_code == FAULT_EXIT_CODE

    @property
    def is_permanent(self) -> bool:
        """Whether a restart would fail the same way."""
        return self.is_user_error or self.is_fault or self.reason == "OOMKilled"

    def describe(self, options: JobOptions) -> str:
        """One line for the person who can mend it."""
        if self.is_user_error:
            said = _line_with(ERROR_PREFIX, self.message)
            return said or f"pod {self.pod} ended with exit code {self.exit_code}; its last lines are above"
        if self.reason == "OOMKilled":
            return (
                f"pod {self.pod} ran out of memory (OOMKilled): raise memory_per_node (now {options.memory_per_node}) "
                "or make batch_size smaller"
            )
        if self.exit_code is None:
            return f"pod {self.pod} failed: {_joined(self.reason, _one_line(self.message))}"
        cause = f"was killed by signal {self.exit_code - _SIGNALLED}" if self.exit_code > _SIGNALLED else "failed"
        said = _reason(self.message)
        reason = f", {self.reason}" if self.reason not in ("", "Error") else ""
        said = f": {said}" if said else "; its last lines are above"
        return f"pod {self.pod} {cause} (exit code {self.exit_code}{reason}){said}"


class Verdict(NamedTuple):
    """How a job ended.

    Attributes:
        outcome: Succeeded or not, and whether the user can mend it.
        reason: One line, empty for success.
        must_stop: The job still runs, or would start again, and has to be deleted.
    """

    outcome: Literal["succeeded", "failed", "user error"]
    reason: str = ""
    must_stop: bool = False


class Tracker:
    """Follows one job through what is seen of it and of its pods."""

    def __init__(self, kind: JobKind, name: str, options: JobOptions):
        self._kind = kind
        self._title = f"{kind.title} {name}"
        self._options = options
        self._job: dict[str, Any] | None = None
        self._pods: Mapping[str, dict[str, Any]] = {}
        self._job_is_known = False
        self._failures: dict[tuple[str, str, int], PodFailure] = {}
        self._pending_since_s: float | None = None
        self._ending_since_s: float | None = None

    def see_job(self, job: dict[str, Any] | None) -> None:
        """Takes in the job's object; None when there is none."""
        self._job = job
        self._job_is_known = True

    def see_pods(self, pods: Mapping[str, dict[str, Any]]) -> list[PodFailure]:
        """Takes in the job's pods; returns the failures that are new."""
        self._pods = pods
        new = []
        for pod in pods.values():
            for life, failure in _failures(pod, self._kind):
                if life not in self._failures:
                    self._failures[life] = failure
                    new.append(failure)
        return new

    def situation(self) -> str:
        """How the job is, in a few words; a change of it is worth a line in the log."""
        if self._job is None:
            return ""
        if _is_suspended(self._job):
            queue = self._options.queue_name
            return f"suspended, waiting in queue {queue}" if queue else "suspended"
        waiting = self._waiting_pods()
        if not self._pods:
            return "waiting for its pods"
        if waiting:
            return f"{len(waiting)} of {len(self._pods)} pods wait: {max(waiting, key=len)}"
        return "running"

    def verdict(self, now_s: float) -> Verdict | None:
        """How it ended; None while it goes on.

        Args:
            now_s: The monotonic clock.
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
        message = _one_line(condition.get("message", ""))
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
        failures = max(Counter(failure.replica for failure in self._failures.values()).values())
        if failures <= self._options.max_restarts:
            return None
        limit = f"after {self._options.max_restarts} restarts" if self._options.max_restarts else "(max_restarts is 0)"
        return Verdict("failed", f"{self._title} failed {limit}: {worst.describe(self._options)}", must_stop=True)

    def _pending_too_long(self, now_s: float) -> Verdict | None:
        waits = self._waiting_pods() or (["no pod was made: is the operator running?"] if not self._pods else [])
        if not waits or self._job is None or _is_suspended(self._job):
            self._pending_since_s = None
            return None
        if self._pending_since_s is None:
            self._pending_since_s = now_s
        limit = self._options.pending_limit_minutes
        if now_s - self._pending_since_s < limit * 60:
            return None
        reason = f"{self._title} did not start within pending_limit_minutes ({limit:g}): {max(waits, key=len)}"
        return Verdict("failed", reason, must_stop=True)

    def _waiting_pods(self) -> list[str]:
        return [_why_waiting(pod) for pod in self._pods.values() if pod["status"].get("phase", "Pending") == "Pending"]

    def _worst(self) -> PodFailure | None:
        return max(self._failures.values(), key=lambda failure: failure.severity, default=None)


def _condition(job: dict[str, Any], name: str) -> dict[str, Any] | None:
    conditions = job.get("status", {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == name and one["status"] == "True"), None)


def _is_suspended(job: dict[str, Any]) -> bool:
    policy = job["spec"].get("runPolicy", job["spec"])
    return bool(policy.get("suspend")) or _condition(job, "Suspended") is not None


def _failures(pod: dict[str, Any], kind: JobKind) -> Iterator[tuple[tuple[str, str, int], PodFailure]]:
    status, uid, name = pod["status"], pod["metadata"]["uid"], pod["metadata"]["name"]
    if "deletionTimestamp" in pod["metadata"]:
        return  # Drained, preempted or cleaned away: it is made to end, which is no failure.
    found = False
    for container in status.get("containerStatuses", []) + status.get("initContainerStatuses", []):
        restarts = container.get("restartCount", 0)
        for state, life in (("lastState", restarts - 1), ("state", restarts)):
            ended = container.get(state, {}).get("terminated")
            if ended and ended["exitCode"] != 0:
                found = True
                # An evicted pod's own reason says more than that its container was killed.
                reason = status.get("reason") or ended.get("reason", "")
                message = ended.get("message") or status.get("message", "")
                failure = PodFailure(
                    name, container["name"], kind.replica(pod), ended["exitCode"], reason, message, state == "lastState"
                )
                yield (uid, container["name"], life), failure
    if status.get("phase") == "Failed" and not found:
        reason, message = status.get("reason", ""), status.get("message", "")
        yield (uid, "", 0), PodFailure(name, kind.container, kind.replica(pod), None, reason, message, False)


def _why_waiting(pod: dict[str, Any]) -> str:
    status, name = pod["status"], pod["metadata"]["name"]
    for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return f"pod {name}, {_joined(waiting['reason'], _one_line(waiting.get('message', '')))}"
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            detail = _joined(condition.get("reason", "Unschedulable"), _one_line(condition.get("message", "")))
            return f"pod {name}, {detail}"
    return f"pod {name}"


def _joined(reason: str, message: str) -> str:
    return ": ".join(part for part in (reason, message) if part) or "no reason was given"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _line_with(prefix: str, text: str) -> str:
    """What the last line that begins with a prefix says."""
    lines = [line.removeprefix(prefix).strip() for line in text.splitlines() if line.startswith(prefix)]
    return lines[-1] if lines else ""


def _reason(text: str) -> str:
    """The line of a termination message, or of a log's end, that says why; empty where none does."""
    for prefix in (FAULT_PREFIX, ERROR_PREFIX, UNAVAILABLE_PREFIX, FAILURE_PREFIX):
        if _line_with(prefix, text):
            return _line_with(prefix, text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    exceptions = [line for line in lines if EXCEPTION.match(line)]
    if exceptions:
        return exceptions[-1]
    return "" if _TORCHRUN.search(text) or not lines else lines[-1]
