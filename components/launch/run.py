"""Runs a component for its KFP function, on this machine or in a cluster, and returns its summary."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from compaware.components.core.base.errors import ERROR_PREFIX, UnavailableError, UserError
from compaware.components.core.base.faults import report
from compaware.components.core.base.settings import hash_settings
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.launch.earlier import Run, plan_attempt, reuse_earlier
from compaware.components.launch.errors import JobError
from compaware.components.launch.launcher import run_job
from compaware.components.launch.options import JobOptions
from compaware.components.launch.outputs import describe_outputs
from compaware.components.launch.pod_settings import NULLABLE, Pods, SiteSettings
from compaware.components.launch.site import SETTINGS_VARIABLE
from compaware.components.launch.stores import configure_task
from compaware.components.launch.task_config import options_of
from compaware.components.storage.summaries import load_uploaded_summary

WORK_ROOT_VARIABLE = "COMPAWARE_WORK_ROOT"


def run_component(
    name: str, config: dict[str, Any], options: dict[str, Any] | None = None, task_config: Any = None
) -> Summary:
    """Runs a component until it ends and shows its output.

    The component resumes the work of an earlier try. If `COMPAWARE_WORK_ROOT` is set, the work is kept there, because
    every local pipeline run has new output paths. A job in a cluster keeps its work below KFP's pipeline root, and
    reuses that of an earlier run with the same settings and inputs.

    Args:
        name: The component's folder name.
        config: Its configuration. None stands for the default; whole floats become ints, because KFP has no integers in
            lists; KFP artifacts become their paths, or their URIs in a cluster.
        options: Values of `JobOptions`; None stands for the default. Without options, one process runs here.
        task_config: Settings of the task that KFP passes on (`dsl.TaskConfig`).

    Returns:
        The summary of the output.

    Raises:
        SystemExit: The component failed; the message is its reason in one line.
    """
    try:
        summary = attempt_component(name, config, options, task_config=task_config)
    except (UserError, UnavailableError, JobError) as error:
        raise SystemExit(f"{ERROR_PREFIX}{error}") from error
    except Exception as error:
        raise SystemExit(report(error)) from error
    describe_outputs(summary, config)
    return summary


def attempt_component(
    name: str, config: dict[str, Any], options: dict[str, Any] | None = None, part: str = "", task_config: Any = None
) -> Summary:
    """As `run_component`, but raises the component's error instead of exiting.

    Args:
        name: The component's folder name.
        config: Its configuration.
        options: Values of `JobOptions`.
        part: Distinguishes several jobs of the same task.
        task_config: Settings of the task that KFP passes on (`dsl.TaskConfig`).

    Raises:
        UserError: The component reported an error that the user can fix.
        UnavailableError: The store of the output does not answer.
        JobError: The component failed for another reason.
    """
    job_options = _job_options(options).for_component(name, _site_pods(), options_of(task_config))
    is_local = job_options.resolved_launcher() == "torchrun"
    # A component that starts trainings in a cluster runs here, but its trainings need the URIs of its inputs.
    started_options = _job_options(config["job"]) if "job" in config else job_options
    inputs_are_local = started_options.resolved_launcher() == "torchrun"
    configure_task(_artifacts(config.values()), started_options)
    values = _without_none(
        {
            key: _path_or_uri(value, is_local if key.endswith("output") else inputs_are_local)
            for key, value in config.items()
        }
    )
    if is_local and not inputs_are_local:
        values["models_uri"] = config["output"].uri
    values.setdefault("existing_output", "resume")
    if not is_local:
        run = _current_run()
        attempt = plan_attempt(name, values, run)
        if run and reuse_earlier(name, values, job_options, attempt, run):
            return load_uploaded_summary(values["output"])
        values["work_uri"] = attempt.work_uri
    elif WORK_ROOT_VARIABLE in os.environ:
        # The checkpoints depend on the number of processes.
        settings = {**values, "processes": job_options.processes_per_node}
        values["work"] = str(Path(os.environ[WORK_ROOT_VARIABLE]) / f"{name}-{hash_settings(settings)[:16]}")
    run_job(name, values, job_options, part)
    if is_local:
        return Summary.load(values["output"])
    try:
        return load_uploaded_summary(values["output"], just_uploaded=True)
    except UnavailableError as error:
        raise UnavailableError(f"{name} is finished, but {error}; run this task again to use its output") from error


def shared_folder(uri: str, run_id: str, name: str) -> str | None:
    """Returns a folder that all runs of a pipeline share; None outside a run.

    Args:
        uri: URI of an artifact of this run.
        run_id: Id of this run.
        name: Name of the folder.
    """
    if WORK_ROOT_VARIABLE in os.environ:
        return str(Path(os.environ[WORK_ROOT_VARIABLE]) / name)
    root, separator, _ = uri.partition(f"/{run_id}/")
    return f"{root}/{name}" if separator and run_id else None


def _current_run() -> Run | None:
    # The Kubernetes client is not installed everywhere that a component runs.
    from compaware.components.launch.api import Api
    from compaware.components.launch.task import current_run

    return current_run(Api())


def _job_options(options: dict[str, Any] | None) -> JobOptions:
    return validate(JobOptions, _without_none({"launcher": "torchrun"} if options is None else options))


def _site_pods() -> Pods:
    """Returns what the site sets for pods, as it was compiled into the pipeline."""
    return validate(SiteSettings, json.loads(os.environ.get(SETTINGS_VARIABLE) or "{}")).pods


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    """Returns values without None, and with whole floats as ints."""
    return {key: whole_numbers(value) for key, value in values.items() if value is not None or key in NULLABLE}


def _path_or_uri(value: Any, is_local: bool) -> Any:
    """Returns the path or the URI of a KFP artifact, also in a list; returns other values unchanged."""
    if isinstance(value, list):
        return [_path_or_uri(item, is_local) for item in value]
    if not hasattr(value, "uri"):
        return value
    return value.path if is_local else value.uri


def _artifacts(values: Iterable[Any]) -> Iterator[Any]:
    """Yields the KFP artifacts among values, also those in lists."""
    for value in values:
        if isinstance(value, list):
            yield from _artifacts(value)
        elif hasattr(value, "uri"):
            yield value


def whole_numbers(value: Any) -> Any:
    """Converts whole floats to ints, also in lists and mappings, where KFP turns all numbers into floats."""
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
