"""Reads and prints the logs of a run's stages: from the API server, else from the object store.

The server has the log of a pod or, after the pod is deleted, the log that Argo archived. KFP also stores the log of
each attempt beside the task's artifacts.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.storage import fetch, find
from compaware.pipelines.client import catalog
from compaware.pipelines.client.polling import poll
from compaware.pipelines.client.server import PIPELINE_ROOT, LogMissingError, read_log, read_workflow
from compaware.pipelines.client.stages import ENDED, REUSED, Pipeline, Stage, find_stages, run_state, select
from compaware.pipelines.client.submit import server_name

if TYPE_CHECKING:
    from kfp import Client

# Argo names a pod after its Workflow, its template and its node's number. KFP has these templates for containers. If a
# pod has annotations and labels, their numbers are in the template's name; our tasks have one annotation.
_TEMPLATES = ("metadata-1-0-system-container-impl", "system-container-impl", "retry-system-container-impl")
_STORED_LOG = "executor-logs"


@dataclass(frozen=True)
class Logs:
    """The logs of a run.

    Attributes:
        client: Client of the server.
        run: The server's description of the run.
        pipeline: The run's pipeline.
        pipeline_root: Where KFP stores artifacts, unless the run names another location.
    """

    client: "Client"
    run: Any
    pipeline: Pipeline
    pipeline_root: str = PIPELINE_ROOT

    @property
    def root(self) -> str:
        """Where KFP stores this run's artifacts."""
        return str((self.run.runtime_config and self.run.runtime_config.pipeline_root) or self.pipeline_root)

    @cached_property
    def workflow(self) -> dict[str, Any]:
        """The run's Argo Workflow; empty if the server does not give it."""
        return read_workflow(self.client, self.run.run_id)

    def workflow_node(self, node: str) -> dict[str, Any]:
        """Returns what the run's Workflow says about a node; empty if that is not known."""
        return dict((self.workflow.get("status", {}).get("nodes") or {}).get(node) or {})

    def read(self, stage: Stage) -> dict[int, str]:
        """Returns the log of each attempt of a stage so far, by the attempt's number from 0.

        Raises:
            LogMissingError: There is no log of any attempt.
            UserError: The server refuses.
        """
        logs, missing = {}, LogMissingError("no pod of it has started")
        for attempt in range(max(1, len(stage.nodes))):
            try:
                logs[attempt] = self._read_attempt(stage, attempt)
            except LogMissingError as error:
                missing = error
        if not logs:
            raise missing
        return logs

    def folders(self) -> Iterator[str]:
        """Yields the folders of the object store that may hold the run's artifacts."""
        base, mark, parameters = self.root.partition("?")
        names = [self.pipeline.name] if self.pipeline.name else [server_name(name) for name in catalog.names()]
        for name in names:
            yield f"{base.rstrip('/')}/{name}/{self.run.run_id}{mark}{parameters}"

    def _read_attempt(self, stage: Stage, attempt: int) -> str:
        missing = LogMissingError("no pod of it has started")
        for node in self._node_names(stage, attempt):
            try:
                return read_log(self.client, self.run.run_id, node)
            except LogMissingError as error:
                missing = error
        if stage.state not in ENDED:
            raise missing
        return self._read_stored(stage, attempt)

    def _node_names(self, stage: Stage, attempt: int) -> Iterator[str]:
        """Yields the names under which the server may find the log of an attempt."""
        if not stage.nodes:
            yield from stage.children
            return
        node = stage.nodes[attempt]
        workflow, _, number = node.rpartition("-")
        yield node
        yield from (f"{workflow}-{template}-{number}" for template in _TEMPLATES)
        # A pod with labels of its own has a template of its own.
        if (named := self.workflow_node(node).get("templateName")) and named not in _TEMPLATES:
            yield f"{workflow}-{named}-{number}"

    def _read_stored(self, stage: Stage, attempt: int) -> str:
        name = f"{_STORED_LOG}-{attempt}"
        try:
            for folder in self.folders():
                base, mark, parameters = folder.partition("?")
                stored = find(f"{base}/{stage.task}{mark}{parameters}", name)
                if stored:
                    return "".join(_download(uri) for uri in stored)
        except (UserError, UnavailableError) as error:
            raise LogMissingError(f"its pod is gone, and {error}") from error
        raise LogMissingError(
            f"its pod is gone, and {self.root.partition('?')[0]} has no {name} of it: set --pipeline-root if "
            "KFP stores artifacts elsewhere"
        )


def print_logs(logs: Logs, stage: str | None, follow: bool, show: Callable[[str], None]) -> list[str]:
    """Prints the logs of a run's stages.

    Args:
        logs: The run.
        stage: The stage to print; by default all that have started.
        follow: Follow the logs until the stage or the run ends.
        show: Called with each piece of text, including line ends.

    Returns:
        A remark about each stage without a log.

    Raises:
        UserError: There is no such stage or no log of any, or the server refuses.
    """
    printer = _Printer(show)
    run = logs.run
    while True:
        current = Logs(logs.client, run, logs.pipeline, logs.pipeline_root)
        stages = select(find_stages(run, logs.pipeline), stage)
        ended = all(one.state in ENDED for one in stages) if stage else run_state(run) in ENDED
        remarks = [remark for one in stages if (remark := printer.print_new(current, one))]
        if ended or not follow:
            if remarks and not printer.printed:
                raise UserError(remarks[-1])
            return remarks
        run = poll(logs.client, run.run_id)


class _Printer:
    """Prints growing logs, each piece below the name of its stage."""

    def __init__(self, show: Callable[[str], None]):
        self._show = show
        self._lengths: dict[str, int] = {}
        self._ended: set[str] = set()
        self._last = ""
        self._line_ended = True

    @property
    def printed(self) -> bool:
        """Whether there was any log."""
        return bool(self._lengths)

    def print_new(self, logs: Logs, stage: Stage) -> str | None:
        """Prints what was added to a stage's log since the last call, or returns why there is no log."""
        if stage.name in self._ended:
            return None
        try:
            attempts = logs.read(stage)
        except LogMissingError as error:
            if stage.state == REUSED:
                return f"{stage.name} has no log: KFP reused the result of an earlier run"
            return f"there is no log of {stage.name} ({stage.state}): {error}"
        for number, text in attempts.items():
            self._print(f"{stage.name}, attempt {number + 1}" if number else stage.name, text)
        if stage.state in ENDED:
            self._ended.add(stage.name)
        return None

    def _print(self, title: str, text: str) -> None:
        new = text[self._lengths.get(title, 0) :]
        self._lengths[title] = len(text)
        if not new:
            return
        if title != self._last:
            self._show(f"{'' if self._line_ended else chr(10)}== {title} ==\n")
            self._last = title
        self._show(new)
        self._line_ended = new.endswith("\n")


def _download(uri: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return fetch(uri, Path(folder)).read_text(encoding="utf-8", errors="replace")
