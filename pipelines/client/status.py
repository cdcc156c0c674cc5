"""The state of a run and of its stages, as text for people and as JSON for programs."""

import os
import shlex
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from compaware.pipelines.client.failures import Failure, find_failure, was_stopped
from compaware.pipelines.client.logs import Logs
from compaware.pipelines.client.server import PIPELINE_ROOT
from compaware.pipelines.client.stages import (
    FAILED,
    NOT_RUN,
    NOT_STARTED,
    PENDING,
    REUSED,
    RUNNING,
    STOPPED,
    SUCCEEDED,
    Pipeline,
    Stage,
    find_stages,
    run_state,
)

if TYPE_CHECKING:
    from kfp import Client

_COLOURS = {SUCCEEDED: "green", REUSED: "green", FAILED: "red", STOPPED: "yellow", PENDING: "yellow", RUNNING: "cyan"}


@dataclass(frozen=True)
class Status:
    """A run, its stages and, if it failed, the reason.

    Attributes:
        run: The server's description of the run.
        state: State of the run as a word.
        stages: The stages in the pipeline's order.
        failure: Why it failed; None if it has not.
    """

    run: Any
    state: str
    stages: list[Stage]
    failure: Failure | None

    def as_json(self) -> dict[str, Any]:
        """Returns the status for programs; times are in UTC."""
        return {
            "run_id": self.run.run_id,
            "name": self.run.display_name,
            "state": self.state,
            "created_at": _iso(self.run.created_at),
            "finished_at": _iso(self.run.finished_at),
            "stages": [
                {
                    "name": stage.name,
                    "state": stage.state,
                    "started_at": _iso(stage.started_at),
                    "finished_at": _iso(stage.finished_at),
                }
                for stage in self.stages
            ],
            "failure": vars(self.failure) if self.failure else None,
        }

    def as_lines(self) -> list[str]:
        """Returns the status for people; times are in the zone of this machine."""
        run, width = self.run, max((len(stage.name) for stage in self.stages), default=0)
        took = _took(run.created_at, run.finished_at)
        first = f"{run.display_name} ({run.run_id}): {paint(self.state)}{took}, created {_local(run.created_at)}"
        return [first, *(f"  {stage.name:{width}}  {_describe(stage)}" for stage in self.stages)]


def find_status(client: "Client", run: Any, pipeline: Pipeline, pipeline_root: str = PIPELINE_ROOT) -> Status:
    """Returns the status of a run.

    Args:
        client: Client of the server.
        run: The server's description of the run.
        pipeline: The run's pipeline.
        pipeline_root: Where KFP stores artifacts, for the logs of pods that are gone.

    Raises:
        UserError: The server refuses.
    """
    logs = Logs(client, run, pipeline, pipeline_root)
    state, stages = run_state(run), find_stages(run, pipeline)
    if state == FAILED and was_stopped(logs):
        state = STOPPED
        stages = [replace(stage, state=STOPPED) if stage.state == FAILED else stage for stage in stages]
    details = (run.run_details.task_details if run.run_details else None) or []
    if any(task.state == "PENDING" for task in details):
        stages = [_with_note(stage, logs) for stage in stages]
    return Status(run, state, stages, find_failure(logs, stages) if state == FAILED else None)


def change_line(stage: Stage) -> str:
    """Returns the line about a change of a stage: when, which stage, and its state."""
    time = stage.finished_at or stage.started_at
    took = f" after {_duration(stage.started_at, stage.finished_at)}" if stage.started_at and stage.finished_at else ""
    note = f" ({stage.note})" if stage.note else ""
    return f"{f'{time.astimezone():%H:%M:%S} ' if time else ''}{stage.name}: {paint(stage.state)}{took}{note}"


def end_line(status: Status) -> str:
    """Returns the line about the end of a run."""
    start, end = status.run.created_at, status.run.finished_at
    took = f" after {_duration(start, end)}" if start and end and end.year > 1970 else ""
    return f"the run has ended: {paint(status.state)}{took}"


def failure_line(status: Status, *options: str) -> str:
    """Returns why a run failed and which command shows more.

    Args:
        status: Status of a run that failed.
        options: Options that the command needs to reach the server.
    """
    failure = status.failure or Failure(None, "")
    what = f"{failure.stage} failed" if failure.stage else "the run failed"
    words = ["compaware", "logs" if failure.stage else "status", status.run.run_id, *options]
    if failure.stage:
        words += ["--stage", failure.stage]
    return f"{what}: {failure.reason or 'no reason is known'}; see {shlex.join(words)}"


def paint(state: str) -> str:
    """Returns a state in its colour, which `show` removes outside a terminal."""
    return click.style(state, fg=_COLOURS[state]) if state in _COLOURS else state


def show(line: str) -> None:
    """Prints a line at once; with colours on a terminal only, and not if NO_COLOR is set."""
    click.echo(line, color=False if os.environ.get("NO_COLOR") else None)


def _with_note(stage: Stage, logs: Logs) -> Stage:
    """Returns a stage with what its pod waits for, which only the run's Workflow says."""
    if stage.state not in (RUNNING, PENDING) or not stage.nodes:
        return stage
    node = logs.workflow_node(stage.nodes[-1])
    if node.get("phase") != "Pending":
        return stage
    return replace(stage, state=PENDING, note=" ".join(str(node.get("message") or "").split()))


def _describe(stage: Stage) -> str:
    state = paint(stage.state) + " " * (len(NOT_STARTED) - len(stage.state))
    if stage.state in (NOT_STARTED, NOT_RUN) or not stage.started_at:
        return state.rstrip()
    took = _took(stage.started_at, stage.finished_at)
    return f"{state}  {stage.started_at.astimezone():%H:%M:%S}{took}{f' ({stage.note})' if stage.note else ''}"


def _took(start: datetime | None, end: datetime | None) -> str:
    return f", {_duration(start, end)}" if start and end and end.year > 1970 else ""


def _duration(start: datetime, end: datetime) -> str:
    seconds = max(0, round((end - start).total_seconds()))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _iso(time: datetime | None) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ") if time and time.year > 1970 else None
