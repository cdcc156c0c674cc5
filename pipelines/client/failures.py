"""Finds why a run failed, in logs and the Workflow, because KFP's API leaves the errors of runs and tasks empty."""

import re
from dataclasses import dataclass

from compaware.components.core.base.errors import UnavailableError, UserError, reported_reason
from compaware.pipelines.client.logs import Logs
from compaware.pipelines.client.stages import FAILED, Stage

# The last lines of any Python program, and of KFP's driver and launcher.
_EXCEPTION = re.compile(r"[\w.]+(Error|Exception|Exit|Interrupt): .*")
_KFP = re.compile(r"F\d{4} \S+ +\d+ \S+\] (?P<message>.*)")
# A message that adds nothing to the state.
_PLAIN_EXIT = re.compile(r"(\w+: )?Error \(exit code \d+\)")
_LONGEST = 170


@dataclass(frozen=True)
class Failure:
    """Why a run failed.

    Attributes:
        stage: Name of the stage that failed; None if none has.
        reason: One line; empty if the reason is not known.
    """

    stage: str | None
    reason: str


def find_failure(logs: Logs, stages: list[Stage]) -> Failure:
    """Returns why a failed run failed: the reason of the first stage that failed.

    Raises:
        UserError: The server refuses.
    """
    failed = [stage for stage in stages if stage.state == FAILED]
    if not failed:
        # The server fills in an error only for a run that it could not read or start.
        message = (logs.run.error and logs.run.error.message) or (logs.workflow.get("status") or {}).get("message")
        return Failure(None, _shorten(str(message or "")))
    first = min(failed, key=lambda stage: stage.finished_at.timestamp() if stage.finished_at else 0.0)
    return Failure(first.name, _shorten(_reason(logs, first)))


def was_stopped(logs: Logs) -> bool:
    """Returns whether a failed run was terminated, for which KFP sets the deadline of its Workflow to 0."""
    return (logs.workflow.get("spec") or {}).get("activeDeadlineSeconds") == 0


def _reason(logs: Logs, stage: Stage) -> str:
    message = str(logs.workflow_node(stage.nodes[-1]).get("message") or "") if stage.nodes else ""
    message = message.removeprefix("main: ")
    try:
        attempts = logs.read(stage)
        lines = attempts[max(attempts)].splitlines()
    except (UserError, UnavailableError):
        lines = []
    if ours := reported_reason(lines):
        return ours
    if message and not _PLAIN_EXIT.fullmatch(message):
        return message
    raised = next((line.strip() for line in reversed(lines) if _EXCEPTION.match(line)), None)
    kfps = next((match["message"] for line in reversed(lines) if (match := _KFP.match(line))), None)
    return raised or kfps or message


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
