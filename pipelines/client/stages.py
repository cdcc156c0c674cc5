"""The stages of a run: the tasks that the user knows, with state and times, in the pipeline's order."""

import graphlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from compaware.components.core.base.errors import UserError
from compaware.pipelines.client.nodes import Nodes
from compaware.pipelines.client.server import MissingError, translate_errors

if TYPE_CHECKING:
    from kfp import Client

SUCCEEDED, FAILED = "succeeded", "failed"
PENDING, RUNNING, STOPPED, REUSED = "pending", "running", "stopped", "reused"
NOT_STARTED, NOT_RUN = "not started", "not run"
ENDED = {SUCCEEDED, FAILED, STOPPED, REUSED, NOT_RUN, "skipped", "canceled"}
_DRIVER = "-driver"
# Names that KFP gives to the parts of a pipeline that are not tasks of the user.
_PARTS = re.compile(r"root|iteration|iteration-item|(condition|condition-branches|for-loop|exit-handler)-\d+")
_ITERATION = re.compile(r".*\.iteration-iterations\((?P<number>\d+):")


@dataclass(frozen=True)
class Pipeline:
    """The pipeline of a run.

    Attributes:
        name: Its name on the server; None if it was deleted.
        tasks: Names of its tasks, each after those that it depends on.
    """

    name: str | None
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """A task of the user in a run; each iteration of a loop is a stage.

    Attributes:
        task: Name of the task in the pipeline, such as `data-prep`.
        name: Name to show: the task's, and in a loop also the number of the iteration, from 1.
        state: A word such as `running`, `failed` or `not started`.
        started_at: When it started; None if it has not.
        finished_at: When it ended; None if it has not.
        nodes: Ids of the Argo nodes of its pods, one for each attempt.
        children: Ids of the nodes below it, as the server gives them.
        note: What it waits for, if that is known.
    """

    task: str
    name: str
    state: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    nodes: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    note: str = ""


def run_state(run: Any) -> str:
    """Returns a run's state as a word. A run that was terminated is `stopped`, although KFP says FAILED."""
    return STOPPED if _stopped_at(run) else str(run.state or PENDING).lower()


def begun(stages: list[Stage]) -> list[Stage]:
    """Returns the stages that have started."""
    return [stage for stage in stages if stage.state not in (NOT_STARTED, NOT_RUN)]


def find_pipeline(client: "Client", run: Any) -> Pipeline:
    """Returns the pipeline of a run.

    Raises:
        UserError: The server refuses.
    """
    spec, reference = run.pipeline_spec, run.pipeline_version_reference
    if not spec and reference and reference.pipeline_version_id:
        try:
            with translate_errors():
                version = client.get_pipeline_version(reference.pipeline_id, reference.pipeline_version_id)
        except MissingError:
            return Pipeline(None, ())
        spec = version.pipeline_spec
    if not spec:
        return Pipeline(None, ())
    # A pipeline with settings for Kubernetes has two documents.
    spec = spec.get("pipeline_spec", spec)
    return Pipeline(spec["pipelineInfo"]["name"], tuple(_tasks(spec, spec["root"]["dag"])))


def find_stages(run: Any, pipeline: Pipeline) -> list[Stage]:
    """Returns the stages of a run in the pipeline's order; those that have not started, too.

    KFP returns every node of the run's Workflow as a task: a user's task, its attempts, the driver and the container
    of each, and the run itself. A user's task is the one that has a driver.
    """
    details = (run.run_details.task_details if run.run_details else None) or []
    details = [task for task in details if task.display_name]
    nodes = Nodes(details)
    drivers = {task.display_name.removesuffix(_DRIVER) for task in details if task.display_name.endswith(_DRIVER)}
    stages: list[Stage] = []
    for name in sorted(drivers):
        stages += _begun_stages(run, name, details, nodes)
    rest = NOT_RUN if run_state(run) in ENDED else NOT_STARTED
    missing = (drivers | set(pipeline.tasks)) - {stage.task for stage in stages}
    stages += [Stage(name, name, rest) for name in missing if not _PARTS.fullmatch(name)]
    places = {name: place for place, name in enumerate(pipeline.tasks)}

    def place(stage: Stage) -> tuple[Any, ...]:
        start = stage.started_at.timestamp() if stage.started_at else float("inf")
        return places.get(stage.task, len(places)), start, len(stage.name), stage.name

    return sorted(stages, key=place)


def select(stages: list[Stage], name: str | None) -> list[Stage]:
    """Returns the started stages of a name, such as `data_prep` or, in a loop, `sweep-branch 2`; by default all.

    Raises:
        UserError: No such stage has started.
    """
    started = begun(stages)
    if name is None:
        return started
    wanted = name.replace("_", "-")
    selected = [stage for stage in started if wanted in (stage.task, stage.name)]
    if not selected:
        names = ", ".join(stage.name for stage in started) or "none"
        raise UserError(f"the run has not started a stage '{name}'; started stages: {names}")
    return selected


def _begun_stages(run: Any, name: str, details: list[Any], nodes: Nodes) -> Iterator[Stage]:
    own = [task for task in details if task.display_name == name and task.state and not _PARTS.fullmatch(name)]
    for task in own:
        yield _stage(run, task, nodes)
    for driver in details:
        if driver.display_name != name + _DRIVER or not driver.state:
            continue
        if driver.state == "FAILED":
            # A driver fails if, for example, an input is missing. Its own log says why.
            pods = [pod for full in nodes.ending(f".{name}{_DRIVER}") for pod in nodes.attempts(full)]
            state = STOPPED if _was_stopped(run, driver) else FAILED
            yield Stage(name, name, state, _time(driver.start_time), _time(driver.end_time), tuple(pods))
        elif not own and not _PARTS.fullmatch(name):
            yield Stage(name, name, PENDING, _time(driver.start_time))


def _stage(run: Any, task: Any, nodes: Nodes) -> Stage:
    name = task.display_name
    children = tuple(child.pod_name for child in task.child_tasks or [] if child.pod_name)
    full_name = _full_name(name, children, nodes)
    attempts = [nodes.names[node] for node in nodes.attempts(full_name)] if full_name else []
    containers = [f"{attempt}.executor" for attempt in attempts]
    pods = [pod for container in containers for pod in nodes.attempts(container)]
    state = str(task.state).lower()
    if state == FAILED and _was_stopped(run, task):
        state = STOPPED
    elif state == SUCCEEDED and not pods and any(nodes.ending(container) for container in containers):
        # KFP's cache has the result, so the container was skipped.
        state = REUSED
    iteration = _ITERATION.match(full_name or "")
    shown = f"{name} {int(iteration['number']) + 1}" if iteration else name
    return Stage(name, shown, state, _time(task.start_time), _time(task.end_time), tuple(pods), children)


def _full_name(name: str, children: tuple[str, ...], nodes: Nodes) -> str | None:
    """Returns the full name of a task's node, with which the names of its children begin."""
    for child in children:
        match = re.match(rf"(.*\.{re.escape(name)})(\(\d+\)|\.executor)", nodes.names.get(child, ""))
        if match:
            return match[1]
    return None


def _was_stopped(run: Any, task: Any) -> bool:
    stopped_at, ended_at = _stopped_at(run), _time(task.end_time)
    return bool(stopped_at and ended_at and ended_at >= stopped_at)


def _stopped_at(run: Any) -> datetime | None:
    """Returns when an ended run was terminated: it was in the state CANCELING and did not run after that."""
    if run.state not in ("FAILED", "CANCELED"):
        return None
    for status in reversed(run.state_history or []):
        if status.state == "CANCELING":
            return _time(status.update_time)
        if status.state in ("PENDING", "RUNNING"):
            return None
    return None


def _time(value: datetime | None) -> datetime | None:
    """Returns a time of the server, which is 0001-01-01 or 1970-01-01 for what has not happened."""
    return value if value and value.year > 1970 else None


def _tasks(spec: dict[str, Any], dag: dict[str, Any]) -> list[str]:
    tasks = dag["tasks"]
    order = graphlib.TopologicalSorter({name: task.get("dependentTasks", []) for name, task in tasks.items()})
    names: list[str] = []
    for name in order.static_order():
        component = spec["components"][tasks[name]["componentRef"]["name"]]
        names += _tasks(spec, component["dag"]) if "dag" in component else [name]
    return names
