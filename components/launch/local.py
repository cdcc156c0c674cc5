"""Runs `python -m compaware.components.<name>` as a child of this process, several of them under torchrun."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from compaware.components.core.config import validate
from compaware.components.core.errors import UserError
from compaware.components.core.summary import Summary
from compaware.components.launch.errors import JobError
from compaware.components.launch.job import Job
from compaware.components.launch.launcher import launch
from compaware.components.launch.options import JobOptions
from compaware.components.launch.torchrun import ERROR_PREFIX, TorchrunLauncher

WORK_ROOT_VARIABLE = "COMPAWARE_WORK_ROOT"


def run_component(name: str, config: dict[str, Any], processes: int = 1) -> Summary:
    """Runs a component to its end and streams its output.

    The component resumes what an earlier try of the same work left behind. Where `COMPAWARE_WORK_ROOT` is set, that is
    found there whatever the output path is, since a local pipeline run has new output paths each time.

    Args:
        name: The component's folder name.
        config: Its configuration; None means not given, and whole floats (KFP has no integers in lists) become ints.
        processes: Processes on this machine that train together.

    Returns:
        The summary in the finished output.

    Raises:
        SystemExit: The component failed; the message is its own one-line reason.
    """
    given = {key: whole_numbers(value) for key, value in config.items() if value is not None}
    given.setdefault("existing_output", "resume")
    if WORK_ROOT_VARIABLE in os.environ:
        given["work"] = str(Path(os.environ[WORK_ROOT_VARIABLE]) / f"{name}-{_identity(given)}")
    try:
        options = validate(JobOptions, {"processes_per_node": processes})
        launch(Job(name, name, given, options), TorchrunLauncher())
    except (UserError, JobError) as failure:
        raise SystemExit(f"{ERROR_PREFIX}{failure}") from failure
    return Summary.load(given["output"])


def _identity(config: dict[str, Any]) -> str:
    kept = {key: value for key, value in config.items() if not key.endswith("output")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def whole_numbers(value: Any) -> Any:
    """Turns whole floats into ints, also inside lists and mappings: KFP makes floats of all their numbers."""
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
