"""What a KFP component's function calls: runs the component where it belongs, and gives its summary."""

import os
from pathlib import Path
from typing import Any

from compaware.components.core.base.errors import ERROR_PREFIX, UnavailableError, UserError
from compaware.components.core.base.faults import report
from compaware.components.core.base.settings import hash_settings
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.launch.errors import JobError
from compaware.components.launch.launcher import run_job
from compaware.components.launch.options import JobOptions
from compaware.components.storage.summaries import load_uploaded_summary

WORK_ROOT_VARIABLE = "COMPAWARE_WORK_ROOT"
# Where null says something else than the default: that the cluster chooses the user.
_MAY_BE_NULL = ("run_as_user",)


def run_component(name: str, config: dict[str, Any], options: dict[str, Any] | None = None) -> Summary:
    """Runs a component to its end and streams its output.

    The component resumes what an earlier try of the same work left behind. Where `COMPAWARE_WORK_ROOT` is set, that is
    found there whatever the output path is, since a local pipeline run has new output paths each time. A job in a
    cluster keeps its checkpoints beside its output.

    Args:
        name: The component's folder name.
        config: Its configuration; None means not given, whole floats (KFP has no integers in lists) become ints, and
            KFP artifacts their paths here, their URIs in a cluster.
        options: Values of `JobOptions`; None means not given. One process here when there are none.

    Returns:
        The summary in the finished output.

    Raises:
        SystemExit: The component failed; the message is its own one-line reason.
    """
    try:
        return attempt_component(name, config, options)
    except (UserError, UnavailableError, JobError) as failure:
        raise SystemExit(f"{ERROR_PREFIX}{failure}") from failure
    except Exception as failure:
        raise SystemExit(report(failure)) from failure


def attempt_component(
    name: str, config: dict[str, Any], options: dict[str, Any] | None = None, part: str = ""
) -> Summary:
    """As `run_component`, for a caller that goes on where the component fails.

    Args:
        name: The component's folder name.
        config: Its configuration.
        options: Values of `JobOptions`.
        part: Tells this job from others of the same task, where it has several.

    Raises:
        UserError: The component says that the user can mend it.
        UnavailableError: The store of its output does not answer.
        JobError: Any other failure.
    """
    wanted = _job_options(options)
    here = wanted.resolved_launcher() == "torchrun"
    # A component that starts trainings itself runs here: what it reads and hands on is where those see it.
    inner_here = _job_options(config["job"]).resolved_launcher() == "torchrun" if "job" in config else here
    given = _given(
        {key: _place(value, here if key.endswith("output") else inner_here) for key, value in config.items()}
    )
    if here and not inner_here:
        given["models_uri"] = config["output"].uri
    given.setdefault("existing_output", "resume")
    if not here:
        given["work_uri"] = f"{given['output']}.work"
    elif WORK_ROOT_VARIABLE in os.environ:
        # Another number of processes cannot go on from the checkpoints.
        settings = {**given, "processes": wanted.processes_per_node}
        given["work"] = str(Path(os.environ[WORK_ROOT_VARIABLE]) / f"{name}-{hash_settings(settings)[:16]}")
    run_job(name, given, wanted, part)
    if here:
        return Summary.load(given["output"])
    try:
        return load_uploaded_summary(given["output"], just_uploaded=True)
    except UnavailableError as error:
        raise UnavailableError(f"{name} is done, but {error}; run this task again to take what is there") from error


def shared_attempts(uri: str, run_id: str) -> str | None:
    """Where the branches of a sweep note their tries, for all runs of a pipeline: see `sweep_plan.attempts`.

    Args:
        uri: Of an artifact of this run.
        run_id: The run's.
    """
    if WORK_ROOT_VARIABLE in os.environ:
        return str(Path(os.environ[WORK_ROOT_VARIABLE]) / "sweep-attempts")
    before, found, _ = uri.partition(f"/{run_id}/")
    return f"{before}/sweep-attempts" if found and run_id else None


def _job_options(options: dict[str, Any] | None) -> JobOptions:
    return validate(JobOptions, _given({"launcher": "torchrun"} if options is None else options))


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: whole_numbers(value) for key, value in values.items() if value is not None or key in _MAY_BE_NULL}


def _place(value: Any, here: bool) -> Any:
    """An artifact's place, or those of a list of them: what has a path and a URI is one."""
    if isinstance(value, list):
        return [_place(item, here) for item in value]
    if not hasattr(value, "uri"):
        return value
    return value.path if here else value.uri


def whole_numbers(value: Any) -> Any:
    """Turns whole floats into ints, also inside lists and mappings: KFP makes floats of all their numbers."""
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
