"""Finds a run on the server, the logs of its stages, and its report.

The API returns neither the name of a task's pod (only the id of Argo's node) nor its artifacts (their lists are empty).
But Argo derives the pod's name from the node's id, and KFP derives the location of an artifact from the run's id.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compaware.components.core.base.errors import UserError
from compaware.components.storage import fetch, find
from compaware.pipelines.client import catalog
from compaware.pipelines.client.server import LogMissingError, list_items, name_filter, read_log, translate_errors
from compaware.pipelines.client.submit import ENDED, POLL_S, begun_tasks, server_name, task_states

if TYPE_CHECKING:
    from kfp import Client

# Where KFP stores artifacts by default.
PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"
REPORT_ARTIFACT = "report_html"
# KFP's template of a task's container; its name is part of the pod's name.
_TEMPLATE = "system-container-impl"


def find_run(client: "Client", name: str, namespace: str | None) -> Any:
    """Returns the run of an id, or the newest run of a name.

    Raises:
        UserError: There is no such run, or the server refuses.
    """
    runs = list_items(
        client.list_runs,
        "runs",
        namespace=namespace,
        sort_by="created_at desc",
        filter=name_filter("display_name", name),
    )
    newest = next(runs, None)
    run_id = newest.run_id if newest else name
    with translate_errors():
        return client.get_run(run_id)


def describe_failure(run: Any) -> str:
    """Returns the error of the first failed task, or of the run."""
    failed = [task for task in begun_tasks(run) if task.state == "FAILED" and task.error]
    if failed:
        return f"{failed[0].display_name} failed: {failed[0].error.message}"
    return str(run.error.message) if run.error else "the run failed; see the logs of its tasks"


def print_logs(client: "Client", run: Any, stage: str | None, follow: bool, show: Callable[[str], None]) -> None:
    """Prints the logs of a run's stages.

    Args:
        client: Client of the server.
        run: The server's description of the run.
        stage: The stage to print; by default all that have started.
        follow: Follow the logs until the stage or the run ends.
        show: Called with each piece of text, including line ends.

    Raises:
        UserError: There is no such stage or no log of it, or the server refuses.
    """
    printer = _Printer(client, run.run_id, show)
    while True:
        tasks = _select_tasks(run, stage)
        ended = all(task.state in ENDED for task in tasks) if stage else run.state in ENDED
        for task in tasks:
            try:
                printer.print_new(task)
            except LogMissingError as error:
                if stage and (ended or not follow):
                    state = task.state.lower()
                    raise UserError(f"there is no log of {task.display_name} ({state}): {error}") from error
        if ended or not follow:
            return
        time.sleep(POLL_S)
        with translate_errors():
            run = client.get_run(run.run_id)


def download_report(run: Any, pipeline_root: str, destination: Path) -> None:
    """Downloads a run's report from the object store, with the store's settings on this machine.

    Args:
        run: The server's description of the run.
        pipeline_root: Where KFP stores artifacts; the run itself may name another location.
        destination: File to write.

    Raises:
        UserError: There is no report yet, or the store refuses.
        UnavailableError: The store does not respond.
    """
    root = (run.runtime_config.pipeline_root if run.runtime_config else None) or pipeline_root
    report = next(_find_reports(run.run_id, root), None)
    if report is None:
        raise UserError(_explain_missing_report(run, root))
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
        staged = shutil.copyfile(fetch(report, Path(folder) / "downloads"), Path(folder) / destination.name)
        staged.replace(destination)


def _select_tasks(run: Any, stage: str | None) -> list[Any]:
    tasks = begun_tasks(run)
    if stage is None:
        return tasks
    selected = [task for task in tasks if task.display_name == stage.replace("_", "-")]
    if not selected:
        started = ", ".join(task.display_name for task in tasks) or "none"
        raise UserError(f"the run has not started a stage '{stage}'; started stages: {started}")
    return selected


class _Printer:
    """Prints growing logs, each piece below the name of its stage."""

    def __init__(self, client: "Client", run_id: str, show: Callable[[str], None]):
        self._client = client
        self._run_id = run_id
        self._show = show
        self._lengths: dict[str, int] = {}
        self._last: str | None = None

    def print_new(self, task: Any) -> None:
        """Prints what was added to a task's log since the last call."""
        name = task.display_name
        text = self._read(task)
        new = text[self._lengths.get(name, 0) :]
        self._lengths[name] = len(text)
        if new and name != self._last:
            self._show(f"== {name} ==\n")
            self._last = name
        self._show(new)

    def _read(self, task: Any) -> str:
        missing = LogMissingError("it has no pod")
        for pod in _possible_pods(task):
            try:
                return read_log(self._client, self._run_id, pod)
            except LogMissingError as error:
                missing = error
        raise missing


def _possible_pods(task: Any) -> Iterator[str]:
    """Yields the names that the pod of a task may have."""
    nodes = [child.pod_name for child in task.child_tasks or [] if child.pod_name]
    for node in nodes or [task.pod_name]:
        workflow, _, number = (node or "").rpartition("-")
        if workflow:
            yield f"{workflow}-{_TEMPLATE}-{number}"
            # The name before Argo 3.4.
            yield node


def _find_reports(run_id: str, root: str) -> Iterator[str]:
    """Yields the reports below the run's folder, that of the last step first."""
    base, mark, parameters = root.partition("?")
    for pipeline in catalog.names():
        folder = f"{base.rstrip('/')}/{server_name(pipeline)}/{run_id}{mark}{parameters}"
        yield from reversed(find(folder, REPORT_ARTIFACT))


def _explain_missing_report(run: Any, root: str) -> str:
    if run.state == "FAILED":
        return f"the run has no report: {describe_failure(run)}"
    if run.state in ENDED:
        return (
            f"the run has no report below {root.partition('?')[0]}: set --pipeline-root if KFP stores artifacts "
            "elsewhere; if KFP reused cached stages, see the report of the earlier run"
        )
    states = task_states(run)
    last = next(reversed(states), None)
    return f"the run has no report yet: {f'{last} is {states[last].lower()}' if last else 'no stage has started'}"
