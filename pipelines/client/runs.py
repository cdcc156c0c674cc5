"""What a run on the server has left: the logs of its stages, and its report.

The API names neither a task's pod (it gives the id of Argo's node) nor its artifacts (their lists are empty). But Argo
makes the pod's name of the node's id, and KFP an artifact's place of the run's id: that is how both are found here.
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
from compaware.pipelines.client.server import LogMissingError, explained, named, pages, read_log
from compaware.pipelines.client.submit import ENDED, POLL_S, begun_tasks, server_name, task_states

if TYPE_CHECKING:
    from kfp import Client

# Where KFP keeps artifacts unless its configuration names another place.
PIPELINE_ROOT = "minio://mlpipeline/v2/artifacts"
REPORT_ARTIFACT = "report_html"
# The name of KFP's template of a task's own container, which is part of the pod's name.
_TEMPLATE = "system-container-impl"


def find_run(client: "Client", name: str, namespace: str | None) -> Any:
    """A run by its id, or the newest of that name.

    Raises:
        UserError: There is none, or the server refuses.
    """
    listed = pages(
        client.list_runs, "runs", namespace=namespace, sort_by="created_at desc", filter=named("display_name", name)
    )
    found = next(listed, None)
    run_id = found.run_id if found else name
    with explained():
        return client.get_run(run_id)


def failure(run: Any) -> str:
    """Why a run failed: the first failed task's error, or the run's own."""
    failed = [task for task in begun_tasks(run) if task.state == "FAILED" and task.error]
    if failed:
        return f"{failed[0].display_name} failed: {failed[0].error.message}"
    return str(run.error.message) if run.error else "the run failed; its tasks' logs say why"


def print_logs(client: "Client", run: Any, stage: str | None, follow: bool, show: Callable[[str], None]) -> None:
    """Shows what the stages of a run have written.

    Args:
        client: The server.
        run: The run as the server describes it.
        stage: Only this one; all that have begun when None.
        follow: Go on until the stage, or the run, has ended.
        show: Takes text as it is, line ends included.

    Raises:
        UserError: There is no such stage, or no log of it; or the server refuses.
    """
    printer = _Printer(client, run.run_id, show)
    while True:
        tasks = _chosen(run, stage)
        ended = all(task.state in ENDED for task in tasks) if stage else run.state in ENDED
        for task in tasks:
            try:
                printer.show_new(task)
            except LogMissingError as error:
                if stage and (ended or not follow):
                    state = task.state.lower()
                    raise UserError(f"there is no log of {task.display_name}, which is {state}: {error}") from error
        if ended or not follow:
            return
        time.sleep(POLL_S)
        with explained():
            run = client.get_run(run.run_id)


def save_report(run: Any, pipeline_root: str, destination: Path) -> None:
    """Fetches a run's report from the object store, with this machine's own settings for it.

    Args:
        run: The run as the server describes it.
        pipeline_root: Where KFP keeps artifacts, unless the run itself says it.
        destination: File to write.

    Raises:
        UserError: There is no report yet, or the store refuses.
        UnavailableError: The store does not answer.
    """
    root = (run.runtime_config.pipeline_root if run.runtime_config else None) or pipeline_root
    report = next(_reports(run.run_id, root), None)
    if report is None:
        raise UserError(_why_no_report(run, root))
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
        staged = shutil.copyfile(fetch(report, Path(folder) / "downloads"), Path(folder) / destination.name)
        staged.replace(destination)


def _chosen(run: Any, stage: str | None) -> list[Any]:
    tasks = begun_tasks(run)
    if stage is None:
        return tasks
    chosen = [task for task in tasks if task.display_name == stage.replace("_", "-")]
    if not chosen:
        begun = ", ".join(task.display_name for task in tasks) or "none yet"
        raise UserError(f"the run has no stage '{stage}' that has begun: there is {begun}")
    return chosen


class _Printer:
    """Shows logs as they grow, each piece under the name of its stage."""

    def __init__(self, client: "Client", run_id: str, show: Callable[[str], None]):
        self._client = client
        self._run_id = run_id
        self._show = show
        self._lengths: dict[str, int] = {}
        self._last: str | None = None

    def show_new(self, task: Any) -> None:
        """Shows what a task has written since the last time."""
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
        for pod in _pods(task):
            try:
                return read_log(self._client, self._run_id, pod)
            except LogMissingError as error:
                missing = error
        raise missing


def _pods(task: Any) -> Iterator[str]:
    """Names that the pod of a task may have."""
    nodes = [child.pod_name for child in task.child_tasks or [] if child.pod_name]
    for node in nodes or [task.pod_name]:
        workflow, _, number = (node or "").rpartition("-")
        if workflow:
            yield f"{workflow}-{_TEMPLATE}-{number}"
            # As Argo named them before 3.4.
            yield node


def _reports(run_id: str, root: str) -> Iterator[str]:
    """The reports below the run's folder: that of the last step first."""
    base, mark, parameters = root.partition("?")
    for pipeline in catalog.names():
        folder = f"{base.rstrip('/')}/{server_name(pipeline)}/{run_id}{mark}{parameters}"
        yield from reversed(find(folder, REPORT_ARTIFACT))


def _why_no_report(run: Any, root: str) -> str:
    if run.state == "FAILED":
        return f"the run has no report: {failure(run)}"
    if run.state in ENDED:
        return (
            f"the run has no report below {root.partition('?')[0]}: give --pipeline-root if KFP keeps artifacts "
            "elsewhere; where KFP took the stages from its cache, the report is that of an earlier run"
        )
    states = task_states(run)
    last = next(reversed(states), None)
    return f"the run has no report yet: {f'{last} is {states[last].lower()}' if last else 'no stage has begun'}"
