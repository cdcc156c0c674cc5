"""Finds the result or the checkpoints of the same stage in an earlier run of a pipeline.

ROOT/compaware-stages/COMPONENT-KEY/ATTEMPT/stage.json   an attempt: where its outputs and its work are
ROOT/compaware-work/COMPONENT-ATTEMPT/                   its checkpoints, deleted when the stage has finished

ROOT is KFP's pipeline root. KEY is a hash of what determines the result: the settings, the content of the inputs, the
image and the number of processes. Memory, time, queue and the other job options are not part of it, although they are
part of KFP's cache key.
"""

import json
import logging
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.files import write_text
from compaware.components.core.base.hashing import short_hash
from compaware.components.core.base.settings import hash_settings, result_settings
from compaware.components.launch.options import JobOptions
from compaware.components.storage import copy, delete, exists, fetch, find, fingerprint, is_empty, is_uri, join, upload

_RECORD = "stage.json"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run of a pipeline.

    Attributes:
        id: Its id, which is in the URIs of its artifacts.
        namespace: Namespace of its pods.
        is_active: Whether the run with an id has pods that are waiting or running.
        image: Image of this pod; by default, its jobs run the trainer image of the same registry and tag.
    """

    id: str
    namespace: str
    is_active: Callable[[str], bool]
    image: str = ""


@dataclass(frozen=True)
class Attempt:
    """A task that ran, or runs, a stage.

    Attributes:
        run: Id of its run.
        work_uri: Where its checkpoints are.
        outputs: URIs of its outputs by key; the stage has finished if `output` is complete.
    """

    run: str
    work_uri: str
    outputs: dict[str, str]


def plan_attempt(component: str, values: dict[str, Any], run: Run | None) -> Attempt:
    """Returns the attempt of this task; it is always the same for the retries of a task."""
    outputs = {key: value for key, value in values.items() if key.endswith("output") and key != "existing_output"}
    uri = outputs["output"]
    root = _root(uri, run.id) if run else ""
    work_uri = join(root, f"compaware-work/{component}-{short_hash(uri)}") if root else f"{uri}.work"
    return Attempt(run.id if run else "", work_uri, outputs)


def reuse_earlier(component: str, values: dict[str, Any], options: JobOptions, attempt: Attempt, run: Run) -> bool:
    """Copies the outputs of an earlier attempt of the same stage, or its checkpoints if it has not finished.

    The work of attempts that have ended is deleted. A failure is only logged, because the stage can run without it.

    Returns:
        Whether the outputs were copied.
    """
    try:
        if not _root(attempt.outputs["output"], run.id) or _depends_on_paths(values):
            return False
        return _reuse(_folder(component, values, options, attempt, run), attempt, run)
    except (UserError, UnavailableError) as error:
        log.warning("cannot reuse the work of earlier runs: %s", error)
        return False


def _reuse(folder: str, attempt: Attempt, run: Run) -> bool:
    own = join(folder, f"{short_hash(attempt.outputs['output'])}/{_RECORD}")
    if exists(own):
        return False  # This is a retry, and the job of an earlier try may be running.
    attempts = {uri: _read(uri) for uri in reversed(find(folder, _RECORD))}
    finished = {uri: item for uri, item in attempts.items() if exists(item.outputs["output"])}
    ended = {uri: item for uri, item in attempts.items() if uri not in finished and not run.is_active(item.run)}
    earlier = next(iter(finished.values()), None)
    if earlier:
        for key in sorted(attempt.outputs, key=lambda key: key == "output"):
            copy(earlier.outputs[key], attempt.outputs[key])
        log.info("reusing the result of run %s: settings and inputs are the same", earlier.run)
    else:
        begun = next((item for item in ended.values() if not is_empty(item.work_uri)), None)
        if begun:
            copy(begun.work_uri, attempt.work_uri)
            log.info("resuming the work of run %s: settings and inputs are the same", begun.run)
        _write(attempt, own)
    _delete(ended)
    return earlier is not None


def _delete(ended: dict[str, Attempt]) -> None:
    """Deletes the work of attempts that ended without a result, and their records."""
    try:
        for uri, attempt in ended.items():
            delete(attempt.work_uri)
            delete(uri)
    except (UserError, UnavailableError) as error:
        log.warning("cannot delete the work of failed runs: %s", error)


def _root(uri: str, run_id: str) -> str:
    """Returns KFP's pipeline root from an artifact's URI, `ROOT/PIPELINE/RUN/TASK/…`; empty if it has another form."""
    before, found, after = uri.partition(f"/{run_id}/")
    root = before.rpartition("/")[0]
    mark, query = after.partition("?")[1:]
    return f"{root}{mark}{query}" if found and run_id and not root.endswith("/") else ""


def _folder(component: str, values: dict[str, Any], options: JobOptions, attempt: Attempt, run: Run) -> str:
    """Returns the URI of the records of all attempts of this stage."""
    key = hash_settings(
        {
            "settings": _with_fingerprints(result_settings(values)),
            "image": options.image if "image" in options.model_fields_set else run.image,
            "version": version("compaware"),
            # `batch_size` is that of one process.
            "processes": options.num_nodes * options.processes_per_node,
            # The pods of runs in other namespaces cannot be seen.
            "namespace": run.namespace,
        }
    )
    return join(_root(attempt.outputs["output"], run.id), f"compaware-stages/{component}-{key[:32]}")


def _depends_on_paths(value: Any) -> bool:
    """Whether a setting is a path, whose content only the pods of the job can see."""
    if isinstance(value, dict | list | tuple):
        return any(map(_depends_on_paths, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and value.startswith(("/", "~", "file://"))


def _with_fingerprints(value: Any) -> Any:
    """Returns a value with every URI replaced by the fingerprint of its content.

    A folder without a manifest also keeps its URI. In a run without KFP's cache, the data set has another URI, so its
    stages run again.
    """
    if isinstance(value, dict):
        return {key: _with_fingerprints(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_fingerprints(item) for item in value]
    if not (isinstance(value, str) and is_uri(value)):
        return value
    return fingerprint(value) if exists(value) else [value, fingerprint(value)]


def _read(uri: str) -> Attempt:
    with tempfile.TemporaryDirectory() as cache:
        return Attempt(**json.loads(fetch(uri, Path(cache), require_manifest=True).read_text(encoding="utf-8")))


def _write(attempt: Attempt, uri: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _RECORD
        write_text(file, json.dumps(asdict(attempt)))
        upload(file, uri)
