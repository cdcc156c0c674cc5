"""Runs a compiled pipeline on this machine with kfp.local; a second run into the same folder resumes the first."""

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
_JOB_SETTINGS_OF_A_MACHINE = ("launcher", "num_nodes", "processes_per_node")
# The lock is held until this process ends.
_lock: IO[str] | None = None


def prepare_output(output: Path, pipeline: str, arguments: dict[str, Any]) -> None:
    """Creates the output folder, or resumes that of an earlier run of the same pipeline.

    Finished stages are reused, unless the content of a file or folder among the arguments has changed.

    Raises:
        UserError: The folder has other content, or another process runs a pipeline into it.
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
    if any(inputs.get(path, content) != content for path, content in state.get("inputs", {}).items()):
        for folder in (_cache(output), _work(output)):
            shutil.rmtree(folder, ignore_errors=True)
    state_file.write_text(json.dumps({"pipeline": pipeline, "inputs": inputs}, indent=2), encoding="utf-8")
    (output / "config.yaml").write_text(write_yaml(arguments), encoding="utf-8")


def run(pipeline: str, arguments: dict[str, Any], output: Path, runner: str = "process") -> list[Stage]:
    """Runs a pipeline to its end or to its first failed stage.

    Args:
        pipeline: Name of the pipeline.
        arguments: Values of parameters; the others have their defaults.
        output: Folder prepared by `prepare_output`.
        runner: `process`, or `docker` to run each task in a container of the cluster's images.

    Returns:
        The stages that ran or were reused; the last one may have failed.

    Raises:
        UserError: Docker or an image is missing.
    """
    # Imported here, since it is slow and only valid configurations need it.
    from kfp import components, local

    _allow_nulls()
    work = _work(output).resolve()
    os.environ[WORK_ROOT_VARIABLE] = str(work)
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.environ[COMMAND_PID] = str(os.getpid())
    spec = one_at_a_time(drop_unset_inputs(catalog.spec(pipeline), arguments))
    kfp_runner = local.SubprocessRunner(use_venv=False)
    cleanup: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if runner == "docker":
        from compaware.pipelines.client import containers

        # Docker would create missing folders as root.
        for folder in (_artifacts(output), work):
            folder.mkdir(exist_ok=True)
        spec = containers.train_in_place(spec)
        kfp_runner = containers.docker_runner(arguments, work)
        cleanup = containers.containers_of(work)
    local.init(
        kfp_runner,
        pipeline_root=str(_artifacts(output)),
        raise_on_error=False,
        enable_caching=True,
        cache_root=str(_cache(output)),
    )
    runnable = components.load_component_from_text(yaml.safe_dump(spec))
    # kfp.local warns about image names without "python" and about resources, which matter only in a cluster.
    for category in (RuntimeWarning, UserWarning):
        warnings.filterwarnings("ignore", category=category, module="kfp.local")
    with cleanup, open_log(output) as log:
        view = RunView(sys.stdout, log, stage_count=len(catalog.tasks(spec)))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, partial(_stop, view))
        # kfp.local logs reused tasks to the root logger.
        logging.basicConfig(
            stream=view, level=logging.INFO, format="%(asctime)s - %(levelname)s - %(message)s", datefmt="%H:%M:%S"
        )
        with contextlib.redirect_stdout(view):
            runnable(**_without_job_settings_of_clusters(arguments))
    return up_to_failure(output, view.stages, spec)


def _without_job_settings_of_clusters(arguments: dict[str, Any]) -> dict[str, Any]:
    """Removes the settings of `job` that have no effect on this machine, so that a change of one repeats no stage."""
    job = arguments.get("job")
    if not job or job.get("launcher", "auto") not in ("auto", "torchrun"):
        return arguments
    return {**arguments, "job": {key: value for key, value in job.items() if key in _JOB_SETTINGS_OF_A_MACHINE}}


def _allow_nulls() -> None:
    """Makes kfp.local accept null in a mapping, like a server; kfp 2.17 does not (kubeflow/pipelines#14373)."""
    from kfp.compiler import pipeline_spec_builder

    without_nulls = pipeline_spec_builder.to_protobuf_value
    protobuf = pipeline_spec_builder.struct_pb2

    def to_value(value: Any) -> Any:
        return protobuf.Value(null_value=protobuf.NULL_VALUE) if value is None else without_nulls(value)

    pipeline_spec_builder.to_protobuf_value = to_value


def up_to_failure(output: Path, stages: list[Stage], spec: dict[str, Any]) -> list[Stage]:
    """Returns the stages up to the first that failed; a stage that did not write all its outputs has failed, too.

    kfp.local sometimes takes a failed container for a success and starts further stages, which lack their inputs.
    """
    for number, stage in enumerate(stages, start=1):
        missing = _missing_output(output, stage, spec)
        if missing and not stage.failed:
            stage.failed, stage.reason = True, stage.reason or f"it wrote no {missing}"
        if stage.failed:
            return stages[:number]
    return stages


def _missing_output(output: Path, stage: Stage, spec: dict[str, Any]) -> str | None:
    component = spec["components"][f"comp-{stage.name.replace('_', '-')}"]
    outputs = component.get("outputDefinitions", {}).get("artifacts", {})
    return next((name for name in outputs if not _has_artifact(output, stage, name)), None)


def _has_artifact(output: Path, stage: Stage, name: str) -> bool:
    try:
        return artifact(output, stage, name).exists()
    except FileNotFoundError:
        return False


def drop_unset_inputs(spec: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Removes optional inputs without a value, so that components use their own defaults.

    A cluster does this by itself; kfp.local 2.17 fails on an optional parameter without a value.
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
        parameters = spec["components"][task["componentRef"]["name"]].get("inputDefinitions", {}).get("parameters", {})
        for name in [
            name for name, entry in parameters.items() if name not in bindings and "defaultValue" not in entry
        ]:
            del parameters[name]
    return spec


def one_at_a_time(spec: dict[str, Any]) -> dict[str, Any]:
    """Makes loops run their iterations one at a time, since they share the CPUs and the terminal here."""
    for task in spec["root"]["dag"]["tasks"].values():
        if "parameterIterator" in task:
            task["iteratorPolicy"] = {"parallelismLimit": 1}
    return spec


def artifact(output: Path, stage: Stage, name: str) -> Path:
    """Returns the path of a finished stage's artifact; for a stage in a loop, that of the last iteration.

    Raises:
        FileNotFoundError: The stage has no such artifact.
    """
    if stage.cache_key:
        (entry,) = _cache(output).glob(f"{stage.cache_key}*.json")
        return Path(json.loads(entry.read_text(encoding="utf-8"))[name]["uri"])
    folder = stage.name.replace("_", "-")
    runs = _artifacts(output)
    paths = [*runs.glob(f"*/{folder}/{name}"), *runs.glob(f"*/for-loop-*/{folder}/{name}")]
    if not paths:
        raise FileNotFoundError(f"{stage.name} wrote no {name} to {output}")
    return max(paths, key=lambda path: path.stat().st_mtime)


def _stop(view: RunView, number: int, frame: FrameType | None) -> None:
    view.interrupted = True
    # A stage that outlives this run would conflict with the run that resumes it.
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
