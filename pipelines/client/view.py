"""Shows a local run: its stages, a live progress line, and the components' output; logs everything to a file.

kfp.local writes everything to standard output: its own messages, those of the KFP executor, and the components' lines,
each indented by four spaces. `RunView` replaces standard output and filters these lines.
"""

import io
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from compaware.components.core.base.errors import ERROR_PREFIX, FAILURE_PREFIX, FAULT_PREFIX
from compaware.components.core.base.progress import PATTERN as PROGRESS

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_KFP = re.compile(r"\d\d:\d\d:\d\d(\.\d{3})? - [A-Z]+ - (?P<message>.*)")
_STARTED = re.compile(r"Executing task '(?P<task>[\w-]+)'")
_REUSED = re.compile(r"Task (?P<task>[\w-]+) cache hit \(key=(?P<key>\w+)\)")
_ENDED = re.compile(r"Task '(?P<task>[\w-]+)' finished with status (?P<status>\w+)")
_LOG_PREFIX = re.compile(r"\d\d:\d\d:\d\d INFO +")
# The benchmark's metrics are printed as a table at the end; single ones are only logged.
_METRIC = re.compile(r"\w+ = \S+")
REPORT_STAGES = ("benchmark", "sweep_benchmark")
PUBLISH_STAGE = "publish"
_CLEAR_LINE = "\r\x1b[2K"


@dataclass
class Stage:
    """One task of the run.

    Attributes:
        name: Name of the task's component.
        cache_key: Start of the key in KFP's cache, if an earlier result is reused.
        failed: Whether the task failed.
        reason: The last error line of the task.
        last_line: The last line of the task.
    """

    name: str
    cache_key: str | None = None
    failed: bool = False
    reason: str = ""
    last_line: str = ""


@dataclass
class RunView(io.TextIOBase):
    """A text stream that shows a run of kfp.local.

    Attributes:
        terminal: Output for people; if it is a terminal, progress is one line that is rewritten.
        log: Receives every line.
        stage_count: Number of stages of the pipeline.
        stages: Stages that have started.
        interrupted: Set to end the run: no further stage starts.
    """

    terminal: TextIO
    log: TextIO
    stage_count: int
    stages: list[Stage] = field(default_factory=list)
    interrupted: bool = False
    _partial: str = ""
    _running: bool = False
    _in_executor_input: bool = False
    _live: bool = False

    def write(self, text: str) -> int:
        """Receives what kfp.local prints, and processes complete lines."""
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            plain = _COLOUR.sub("", line).rstrip()
            self.log.write(plain + "\n")
            self._process(plain)
        self.log.flush()
        return len(text)

    def show(self, line: str) -> None:
        """Shows a permanent line."""
        if self._live:
            self.terminal.write(_CLEAR_LINE)
            self._live = False
        self.terminal.write(line + "\n")
        self.terminal.flush()

    def _process(self, line: str) -> None:
        kfp = _KFP.fullmatch(line)
        if kfp:
            self._process_event(kfp["message"])
        elif self._running and line.strip():
            self._process_output(line.removeprefix("    "))

    def _process_event(self, message: str) -> None:
        if started := _STARTED.match(message):
            self._begin(Stage(_name(started["task"])), "")
        elif reused := _REUSED.match(message):
            self._begin(Stage(_name(reused["task"]), cache_key=reused["key"]), ": finished earlier, reused")
        elif ended := _ENDED.match(message):
            self.stages[-1].failed = ended["status"] != "SUCCESS"
        self._running = message == "Streamed logs:"

    def _begin(self, stage: Stage, remark: str) -> None:
        if self.interrupted:
            # kfp.local starts the remaining iterations of a loop even after an interrupt, so stop each of them.
            raise KeyboardInterrupt
        self.stages.append(stage)
        self.show(f"{self._title()}{remark}")

    def _title(self) -> str:
        """Returns the number and name of the running stage; iterations of a loop share a number and are counted."""
        names = [stage.name for stage in self.stages]
        number, name = len(set(names)), names[-1]
        return f"[{number}/{self.stage_count}] {name}" + (f" {names.count(name)}" if names.count(name) > 1 else "")

    def _process_output(self, line: str) -> None:
        if line.startswith("[KFP Executor"):
            self._in_executor_input = line.endswith("Got executor_input:")
            return
        if self._in_executor_input:
            self._in_executor_input = line != "}"
            return
        stage = self.stages[-1]
        stage.last_line = line.strip()
        text = _LOG_PREFIX.sub("", line)
        if stage.name in REPORT_STAGES and _METRIC.fullmatch(text):
            return
        for prefix in (ERROR_PREFIX, FAULT_PREFIX, FAILURE_PREFIX):
            if line.startswith(prefix):
                stage.reason = line.strip().removeprefix(prefix)
                return
        progress = PROGRESS.search(line)
        if progress and self.terminal.isatty():
            self._rewrite(f"{self._title()} {progress[0].partition(': ')[2]}")
        else:
            self.show(f"  {text}")

    def _rewrite(self, line: str) -> None:
        width = shutil.get_terminal_size().columns
        self.terminal.write(_CLEAR_LINE + line[: width - 1])
        self.terminal.flush()
        self._live = True


def _name(task: str) -> str:
    return task.replace("-", "_")


def open_log(folder: Path) -> TextIO:
    """Opens `run.log` in an output folder, to append to the log of earlier runs."""
    return (folder / "run.log").open("a", encoding="utf-8")
