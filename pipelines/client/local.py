"""Runs a compiled pipeline on this machine by kfp.local; a second run into the same folder goes on from the first."""

import contextlib
import copy
import json
import logging
import os
import shutil
import signal
import sys
import warnings
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, Any

import psutil
import yaml

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.lifetime import VARIABLE as COMMAND_PID
from compaware.components.core.base.lock import FILE_NAME as LOCK
from compaware.components.core.base.lock import lock_folder
from compaware.components.core.base.values import write_yaml
from compaware.components.core.stage.identity import content_of, sources_of
from compaware.components.launch.run import WORK_ROOT_VARIABLE
from compaware.pipelines.client import catalog
from compaware.pipelines.client.view import RunView, Stage, open_log

_STATE = "run.json"
# Held until this process ends.
_lock: IO[str] | None = None


def prepare_output(output: Path, pipeline: str, arguments: dict[str, Any]) -> None:
    """Makes the output folder, or takes up one of an earlier run of the same pipeline.

    Finished stages of that run are used again, unless a file or folder among the arguments holds something else now.

    Raises:
        UserError: The folder holds something else, or another process runs a pipeline into it.
    """
    global _lock
    state_file = output / _STATE
    state = json.loads(state_file.read_text(encoding="utf-8")) if state_file.is_file() else {}
    if output.exists() and not output.is_dir():
        raise UserError(f"the output {output} is a file: choose a folder")
    holds_something = output.is_dir() and any(path.name != LOCK for path in output.iterdir())
    if holds_something and state.get("pipeline") != pipeline:
        raise UserError(f"the output {output} is not empty and holds no run of {pipeline}: choose another folder")
    _lock = lock_folder(output, str(output))
    inputs = {source: content_of(source) for source in sources_of(arguments)}
    if any(inputs.get(path, seen) != seen for path, seen in state.get("inputs", {}).items()):
        for part in (_cache(output), _work(output)):
            shutil.rmtree(part, ignore_errors=True)
    state_file.write_text(json.dumps({"pipeline": pipeline, "inputs": inputs}, indent=2), encoding="utf-8")
    (output / "config.yaml").write_text(write_yaml(arguments), encoding="utf-8")


def run(pipeline: str, arguments: dict[str, Any], output: Path, runner: str = "process") -> list[Stage]:
    """Runs a pipeline to its end or to its first failed stage.

    Args:
        pipeline: Its name.
        arguments: Parameters that are given; the others have their defaults.
        output: A folder that `prepare_output` prepared.
        runner: `process`, or `docker` for a container of the cluster's images for each task.

    Returns:
        The stages that ran or were reused; the last one may have failed.

    Raises:
        UserError: Docker or an image is not there.
    """
    # Heavy, and not needed before the configuration was found valid.
    from kfp import components, local

    _let_nulls_pass()
    work = _work(output).resolve()
    os.environ[WORK_ROOT_VARIABLE] = str(work)
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.environ[COMMAND_PID] = str(os.getpid())
    spec = one_at_a_time(drop_unset_inputs(catalog.spec(pipeline), arguments))
    how = local.SubprocessRunner(use_venv=False)
    around: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if runner == "docker":
        from compaware.pipelines.client import containers

        # Docker would make a folder that is not there, and it would be root's.
        for folder in (_artifacts(output), work):
            folder.mkdir(exist_ok=True)
        spec = containers.train_in_place(spec)
        how = containers.docker_runner(arguments, work)
        around = containers.containers_of(work)
    local.init(
        how,
        pipeline_root=str(_artifacts(output)),
        raise_on_error=False,
        enable_caching=True,
        cache_root=str(_cache(output)),
    )
    runnable = components.load_component_from_text(yaml.safe_dump(spec))
    # kfp.local warns of image names without "python" in them, and of resources: both are for the cluster.
    for category in (RuntimeWarning, UserWarning):
        warnings.filterwarnings("ignore", category=category, module="kfp.local")
    with around, open_log(output) as log:
        view = RunView(sys.stdout, log, stage_count=len(catalog.tasks(spec)))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, partial(_stop, view))
        # kfp.local tells of reused tasks through the root logger.
        logging.basicConfig(
            stream=view, level=logging.INFO, format="%(asctime)s - %(levelname)s - %(message)s", datefmt="%H:%M:%S"
        )
        with contextlib.redirect_stdout(view):
            runnable(**arguments)
    return up_to_failure(output, view.stages, spec)


def _let_nulls_pass() -> None:
    """Lets kfp.local take a null in a mapping, as a server does: kfp 2.17 itself cannot (kubeflow/pipelines#14373)."""
    from kfp.compiler import pipeline_spec_builder

    without_nulls = pipeline_spec_builder.to_protobuf_value
    protobuf = pipeline_spec_builder.struct_pb2

    def to_value(value: Any) -> Any:
        return protobuf.Value(null_value=protobuf.NULL_VALUE) if value is None else without_nulls(value)

    pipeline_spec_builder.to_protobuf_value = to_value


def up_to_failure(output: Path, stages: list[Stage], spec: dict[str, Any]) -> list[Stage]:
    """The stages until the first that failed; one that left less than it should has failed, too.

    kfp.local at times takes a failed container for a success, and goes on: what then begins has no inputs.
    """
    for number, stage in enumerate(stages, start=1):
        missing = _missing_output(output, stage, spec)
        if missing and not stage.failed:
            stage.failed, stage.reason = True, stage.reason or f"it left no {missing}"
        if stage.failed:
            return stages[:number]
    return stages


def _missing_output(output: Path, stage: Stage, spec: dict[str, Any]) -> str | None:
    component = spec["components"][f"comp-{stage.name.replace('_', '-')}"]
    outputs = component.get("outputDefinitions", {}).get("artifacts", {})
    return next((name for name in outputs if not _is_there(output, stage, name)), None)


def _is_there(output: Path, stage: Stage, name: str) -> bool:
    try:
        return artifact(output, stage, name).exists()
    except FileNotFoundError:
        return False


def drop_unset_inputs(spec: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Removes the optional inputs that nobody gave, so that components see their own default.

    A cluster does this by itself; kfp.local 2.17 stops at an optional parameter without a value.
    """
    spec = copy.deepcopy(spec)
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    unset = {name for name, entry in inputs.items() if name not in arguments and "defaultValue" not in entry}
    for name in unset:
        del inputs[name]
    for task in catalog.tasks(spec).values():
        bindings = task.get("inputs", {}).get("parameters", {})
        for name in [name for name, binding in bindings.items() if binding.get("componentInputParameter") in unset]:
            del bindings[name]
        own = spec["components"][task["componentRef"]["name"]].get("inputDefinitions", {}).get("parameters", {})
        for name in [name for name, entry in own.items() if name not in bindings and "defaultValue" not in entry]:
            del own[name]
    return spec


def one_at_a_time(spec: dict[str, Any]) -> dict[str, Any]:
    """Makes loops go through their iterations one by one: here they share the CPUs, and the terminal."""
    for task in spec["root"]["dag"]["tasks"].values():
        if "parameterIterator" in task:
            task["iteratorPolicy"] = {"parallelismLimit": 1}
    return spec


def artifact(output: Path, stage: Stage, name: str) -> Path:
    """Where an artifact of a finished stage lies; of a stage in a loop, that of its last iteration.

    Raises:
        FileNotFoundError: The stage has no such artifact.
    """
    if stage.cache_key:
        (entry,) = _cache(output).glob(f"{stage.cache_key}*.json")
        return Path(json.loads(entry.read_text(encoding="utf-8"))[name]["uri"])
    folder = stage.name.replace("_", "-")
    runs = _artifacts(output)
    found = [*runs.glob(f"*/{folder}/{name}"), *runs.glob(f"*/for-loop-*/{folder}/{name}")]
    if not found:
        raise FileNotFoundError(f"{stage.name} left no {name} in {output}")
    return max(found, key=lambda path: path.stat().st_mtime)


def _stop(view: RunView, number: int, frame: FrameType | None) -> None:
    view.interrupted = True
    # A stage that goes on alone would be in the way of the run that takes up its work.
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()
    raise KeyboardInterrupt


def _artifacts(output: Path) -> Path:
    return output / "artifacts"


def _cache(output: Path) -> Path:
    return output / "cache"


def _work(output: Path) -> Path:
    return output / "work"
