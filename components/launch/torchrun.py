"""Runs a component's entry point as a child of this process, several processes with torchrun."""

import json
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from compaware.components.core.base.errors import (
    ERROR_PREFIX,
    FAILURE_PREFIX,
    FAULT_EXIT_CODE,
    FAULT_PREFIX,
    KILLED_PREFIX,
    UNAVAILABLE_EXIT_CODE,
    UNAVAILABLE_PREFIX,
    USER_ERROR_EXIT_CODE,
    UserError,
)
from compaware.components.core.base.lifetime import environment_of_children
from compaware.components.launch.errors import JobError, UnansweredError
from compaware.components.launch.job import Job
from compaware.components.launch.own_task import OwnTask

# Prefixes of a process's last line, the most informative first, with their exit codes; 0 keeps the process's own code.
_PREFIXES = {
    ERROR_PREFIX: USER_ERROR_EXIT_CODE,
    FAULT_PREFIX: FAULT_EXIT_CODE,
    UNAVAILABLE_PREFIX: UNAVAILABLE_EXIT_CODE,
    KILLED_PREFIX: 0,
    FAILURE_PREFIX: 0,
}
EXCEPTION = re.compile(r"[\w.]+(Error|Exception): .+")


class ChildResult(NamedTuple):
    """Exit code and reason of a finished child.

    Attributes:
        exit_code: 2 for an error of the user, 70 for a bug, 75 for a service that does not answer, 128 + n for signal
            n, else the child's own code.
        reason: The child's `error: …` line, else its `fault: …` or `unavailable: …` line, else the reason of another
            failure; empty if unknown.
    """

    exit_code: int
    reason: str


class TorchrunLauncher:
    """Launcher for processes on this machine; a restart finds no earlier job."""

    def __init__(self) -> None:
        self._task = OwnTask.find()
        self._child: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory()

    def exists(self, job: Job) -> bool:
        """Whether the job was started by this launcher."""
        return self._child is not None

    def create(self, job: Job) -> None:
        """Starts the processes.

        Raises:
            UserError: The job has more than one node.
        """
        if job.options.num_nodes > 1:
            raise UserError(
                f"num_nodes is {job.options.num_nodes}, but launcher torchrun has one node: set processes_per_node"
            )
        file = Path(self._folder.name) / "config.json"
        file.write_text(json.dumps(job.config), encoding="utf-8")
        module = ["-m", f"compaware.components.{job.component}", "--config", str(file)]
        processes = job.options.processes_per_node
        torchrun = ["-m", "compaware.components.launch.ranks", "--standalone", "--nproc-per-node", str(processes)]
        self._child = start_child([sys.executable, *(torchrun if processes > 1 else []), *module])

    def wait(self, job: Job) -> None:
        """Shows the output until the processes end.

        Raises:
            UserError: The component reported an error that the user can fix.
            JobError: The component failed for another reason.
        """
        assert self._child is not None
        result = follow_child(self._child)
        self._folder.cleanup()
        if result.exit_code == USER_ERROR_EXIT_CODE and result.reason.startswith(ERROR_PREFIX):
            raise UserError(result.reason.removeprefix(ERROR_PREFIX))
        if result.exit_code == UNAVAILABLE_EXIT_CODE:
            raise UnansweredError(result.reason.removeprefix(UNAVAILABLE_PREFIX))
        if result.exit_code:
            raise JobError(result.reason or f"{job.component} {_describe(result.exit_code)}; its log is above")

    def cancel(self, job: Job) -> None:
        """Terminates the processes and waits until they have ended."""
        if self._child is not None:
            self._child.terminate()
            self._child.wait()
        self._folder.cleanup()

    def stop(self, job: Job) -> None:
        """Lets Argo try a lost task again, and terminates the processes, which would end with this one."""
        if self._task:
            self._task.repeat_if_lost()
        self.cancel(job)


def start_child(command: list[str]) -> "subprocess.Popen[str]":
    """Starts a child that ends with this process's command; its output can be read line by line."""
    environment = {**environment_of_children(), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, env=environment
    )


def follow_child(child: "subprocess.Popen[str]") -> ChildResult:
    """Shows a child's output until it ends; of several processes, the first one that prints a reason counts."""
    messages: dict[str, str] = {}
    exception = ""
    with child:
        try:
            for line in child.stdout or ():
                print(line, end="", flush=True)
                for prefix in _PREFIXES:
                    if line.startswith(prefix):
                        messages.setdefault(prefix, line.strip())
                if not exception and EXCEPTION.match(line):
                    exception = line.strip()
        except BaseException:
            child.terminate()
            raise
    code = 128 - child.returncode if child.returncode < 0 else child.returncode
    if code == 0:
        return ChildResult(0, "")
    for prefix, prefix_code in _PREFIXES.items():
        if prefix in messages:
            # The child's own code may differ: torchrun may report a peer that failed because of this process.
            return ChildResult(prefix_code or code, messages[prefix].removeprefix(FAILURE_PREFIX))
    return ChildResult(code, exception)


def _describe(exit_code: int) -> str:
    if exit_code == 128 + signal.SIGKILL:
        return "got SIGKILL, probably because of too little memory"
    return f"ended with exit code {exit_code}"


def exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    """A signal handler that exits by SystemExit, so that `finally` and `except` end the child or job.

    Argo repeats the signal, which must not interrupt them.
    """
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def exit_on_sigterm() -> None:
    """Makes SIGTERM raise SystemExit with code 143."""
    signal.signal(signal.SIGTERM, exit_on_signal)
