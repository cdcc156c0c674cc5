"""Runs a component's entry point as a child of this process: several of them by torchrun."""

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

# What a process says at its end, the most telling first, and the exit code that belongs to it; 0 for its own.
_PREFIXES = {
    ERROR_PREFIX: USER_ERROR_EXIT_CODE,
    FAULT_PREFIX: FAULT_EXIT_CODE,
    UNAVAILABLE_PREFIX: UNAVAILABLE_EXIT_CODE,
    KILLED_PREFIX: 0,
    FAILURE_PREFIX: 0,
}
EXCEPTION = re.compile(r"[\w.]+(Error|Exception): .+")


class Ended(NamedTuple):
    """How a child ended.

    Attributes:
        exit_code: 128 and the signal's number where a signal ended it; 2 for a mistake of the user, 70 for a fault of
            the program, 75 where something did not answer.
        reason: Its `error: …` line, else its `fault: …` or `unavailable: …` line, else what is known of another
            failure, else nothing.
    """

    exit_code: int
    reason: str


class TorchrunLauncher:
    """Trains with processes on this machine; there is nothing to find again after a restart."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory()

    def exists(self, job: Job) -> bool:
        """Whether the job was started by this launcher."""
        return self._child is not None

    def create(self, job: Job) -> None:
        """Starts the processes.

        Raises:
            UserError: More than one node is asked for.
        """
        if job.options.num_nodes > 1:
            raise UserError(f"num_nodes is {job.options.num_nodes}: torchrun here has one; use processes_per_node")
        file = Path(self._folder.name) / "config.json"
        file.write_text(json.dumps(job.config), encoding="utf-8")
        module = ["-m", f"compaware.components.{job.component}", "--config", str(file)]
        processes = job.options.processes_per_node
        torchrun = ["-m", "compaware.components.launch.ranks", "--standalone", "--nproc-per-node", str(processes)]
        self._child = start_child([sys.executable, *(torchrun if processes > 1 else []), *module])

    def wait(self, job: Job) -> None:
        """Shows the output until the end.

        Raises:
            UserError: The component says that the user can mend it.
            JobError: Any other failure.
        """
        assert self._child is not None
        ended = follow_child(self._child)
        self._folder.cleanup()
        if ended.exit_code == USER_ERROR_EXIT_CODE and ended.reason.startswith(ERROR_PREFIX):
            raise UserError(ended.reason.removeprefix(ERROR_PREFIX))
        if ended.exit_code == UNAVAILABLE_EXIT_CODE:
            raise UnansweredError(ended.reason.removeprefix(UNAVAILABLE_PREFIX))
        if ended.exit_code:
            raise JobError(ended.reason or f"{job.component} {_describe(ended.exit_code)}; its log is above")

    def cancel(self, job: Job) -> None:
        """Asks the processes to end, and waits until they have."""
        if self._child is not None:
            self._child.terminate()
            self._child.wait()
        self._folder.cleanup()


def start_child(command: list[str]) -> "subprocess.Popen[str]":
    """Starts a child whose output comes to this process line by line, and that ends with this process's command."""
    environment = {**environment_of_children(), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, env=environment
    )


def follow_child(child: "subprocess.Popen[str]") -> Ended:
    """Shows a child's output until it ends; of several processes, the first that says why is believed."""
    said: dict[str, str] = {}
    exception = ""
    with child:
        try:
            for line in child.stdout or ():
                print(line, end="", flush=True)
                for prefix in _PREFIXES:
                    if line.startswith(prefix):
                        said.setdefault(prefix, line.strip())
                if not exception and EXCEPTION.match(line):
                    exception = line.strip()
        except BaseException:
            child.terminate()
            raise
    code = 128 - child.returncode if child.returncode < 0 else child.returncode
    if code == 0:
        return Ended(0, "")
    for prefix, meant in _PREFIXES.items():
        if prefix in said:
            # torchrun was ended by a process of its own, or told of a peer that failed for this one.
            return Ended(meant or code, said[prefix].removeprefix(FAILURE_PREFIX))
    return Ended(code, exception)


def _describe(exit_code: int) -> str:
    if exit_code == 128 + signal.SIGKILL:
        return "got SIGKILL, most likely since there was not enough memory"
    return f"ended with exit code {exit_code}"


def exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    """A signal handler that lets `finally` and `except` run: Python's default would leave the child or job behind."""
    sys.exit(128 + number)


def exit_on_sigterm() -> None:
    """Makes SIGTERM end this process by SystemExit, with code 143."""
    signal.signal(signal.SIGTERM, exit_on_signal)
