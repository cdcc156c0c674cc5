"""Reads from the state of a pod how it failed, and why it does not start."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

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

_SIGNALLED = 128
# The summary that torchrun writes at its end; it has the exit code of the failed process, but not the reason.
_TORCHRUN = re.compile(
    r"torch/distributed/|torch\.distributed\.|={20}|first observed failure|error_file *:|exitcode *:"
)


class PodFailure(NamedTuple):
    """A failed run of a container, or a failed pod; a restart begins another run."""

    pod: str
    container: str
    replica: str
    exit_code: int | None
    reason: str
    message: str
    previous: bool

    @property
    def severity(self) -> int:
        """Ranks failures by how much they explain: a lost node makes its peers fail as well, with less information."""
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
        """Whether the component reported an error that the user can fix."""
        return self.exit_code == USER_ERROR_EXIT_CODE

    @property
    def is_fault(self) -> bool:
        """Whether the component ended because of a bug."""
        return self.exit_code == FAULT_EXIT_CODE

    @property
    def is_permanent(self) -> bool:
        """Whether a restart would fail in the same way."""
        return self.is_user_error or self.is_fault or self.reason == "OOMKilled"

    def describe(self, options: JobOptions) -> str:
        """Returns one line for the user."""
        if self.is_user_error:
            message = _last_line_with(ERROR_PREFIX, self.message)
            return message or f"pod {self.pod} ended with exit code {self.exit_code}; its last lines are above"
        if self.reason == "OOMKilled":
            return (
                f"pod {self.pod} ran out of memory (OOMKilled): raise memory_per_node (now {options.memory_per_node}) "
                "or lower batch_size"
            )
        if self.exit_code is None:
            return f"pod {self.pod} failed: {_joined(self.reason, one_line(self.message))}"
        cause = f"was killed by signal {self.exit_code - _SIGNALLED}" if self.exit_code > _SIGNALLED else "failed"
        message = _reason(self.message)
        details = f": {message}" if message else "; its last lines are above"
        reason = f", {self.reason}" if self.reason not in ("", "Error") else ""
        return f"pod {self.pod} {cause} (exit code {self.exit_code}{reason}){details}"


def failures_of(pod: dict[str, Any], kind: JobKind) -> Iterator[tuple[tuple[str, str, int], PodFailure]]:
    """Yields the failed runs of a pod's containers, or the failed pod, each with a key that stays the same."""
    status, uid, name = pod["status"], pod["metadata"]["uid"], pod["metadata"]["name"]
    if "deletionTimestamp" in pod["metadata"]:
        return  # Drained, preempted or cleaned up: not a failure.
    has_failed_container = False
    for container in status.get("containerStatuses", []) + status.get("initContainerStatuses", []):
        restarts = container.get("restartCount", 0)
        for state, run in (("lastState", restarts - 1), ("state", restarts)):
            ended = container.get(state, {}).get("terminated")
            if ended and ended["exitCode"] != 0:
                has_failed_container = True
                # The reason of an evicted pod says more than that of its killed container.
                reason = status.get("reason") or ended.get("reason", "")
                message = ended.get("message") or status.get("message", "")
                failure = PodFailure(
                    name, container["name"], kind.replica(pod), ended["exitCode"], reason, message, state == "lastState"
                )
                yield (uid, container["name"], run), failure
    if status.get("phase") == "Failed" and not has_failed_container:
        reason, message = status.get("reason", ""), status.get("message", "")
        yield (uid, "", 0), PodFailure(name, kind.container, kind.replica(pod), None, reason, message, False)


def why_waiting(pod: dict[str, Any]) -> str:
    """Returns a pod's name and why it is pending, if that is known."""
    status, name = pod["status"], pod["metadata"]["name"]
    for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return f"pod {name}, {_joined(waiting['reason'], one_line(waiting.get('message', '')))}"
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            detail = _joined(condition.get("reason", "Unschedulable"), one_line(condition.get("message", "")))
            return f"pod {name}, {detail}"
    return f"pod {name}"


def _joined(reason: str, message: str) -> str:
    return ": ".join(part for part in (reason, message) if part) or "no reason was given"


def one_line(text: str) -> str:
    """Returns a text without line breaks."""
    return " ".join(text.split())


def _last_line_with(prefix: str, text: str) -> str:
    """Returns the last line with a prefix, without it; empty if there is none."""
    lines = [line.removeprefix(prefix).strip() for line in text.splitlines() if line.startswith(prefix)]
    return lines[-1] if lines else ""


def _reason(text: str) -> str:
    """Returns the line with the reason in a termination message or the end of a log; empty if there is none."""
    for prefix in (FAULT_PREFIX, ERROR_PREFIX, UNAVAILABLE_PREFIX, FAILURE_PREFIX):
        if line := _last_line_with(prefix, text):
            return line
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    exceptions = [line for line in lines if EXCEPTION.match(line)]
    if exceptions:
        return exceptions[-1]
    return "" if _TORCHRUN.search(text) or not lines else lines[-1]
