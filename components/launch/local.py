"""Runs `python -m compaware.components.<name>` as a child of this process, several of them under torchrun."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from compaware.components.core.summary import Summary

WORK_ROOT_VARIABLE = "COMPAWARE_WORK_ROOT"
ERROR_PREFIX = "error: "


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
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.json"
        file.write_text(json.dumps(given), encoding="utf-8")
        _run_child([*_interpreter(processes), "-m", f"compaware.components.{name}", "--config", str(file)], name)
    return Summary.load(given["output"])


def _interpreter(processes: int) -> list[str]:
    if processes == 1:
        return [sys.executable]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]


def _run_child(command: list[str], name: str) -> None:
    reason = ""
    signal.signal(signal.SIGTERM, _exit_on_signal)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, env=environment
    ) as child:
        try:
            for line in child.stdout or ():
                print(line, end="", flush=True)
                if line.startswith(ERROR_PREFIX):
                    reason = line.strip()
        except BaseException:
            child.terminate()
            raise
    if child.returncode != 0:
        raise SystemExit(reason or f"{ERROR_PREFIX}{name} ended with exit code {child.returncode}; its log is above")


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    # Python's default would end this process at once and leave the child running.
    sys.exit(128 + number)


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
