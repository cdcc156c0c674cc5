"""What a person sees of a local run: stages, a live progress line, the components' own words; all of it in a log file.

kfp.local writes everything to standard output: its own banners, the KFP executor's, and the components' lines, each
with four spaces in front. `RunView` stands in for standard output and sorts them.
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
# The benchmark's figures come as a table at the end; one by one they stay in the log file, too.
_METRIC = re.compile(r"\w+ = \S+")
REPORT_STAGES = ("benchmark", "sweep_benchmark")
PUBLISH_STAGE = "publish"
_CLEAR_LINE = "\r\x1b[2K"


@dataclass
class Stage:
    """One task of the run.

    Attributes:
        name: The component that the task runs.
        cache_key: Beginning of its key in KFP's cache, if an earlier run's result was used.
        failed: Whether it ended with an error.
        reason: The last error line that it wrote.
        last_line: The last line that it wrote at all.
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
        terminal: Where people look; progress is one line rewritten in place where it is a terminal.
        log: Gets every line.
        stage_count: Stages of the pipeline.
        stages: Those that were begun so far.
        interrupted: Set when the run has to end: no further stage begins.
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
        """Takes what kfp.local prints; shows it a whole line at a time."""
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            plain = _COLOUR.sub("", line).rstrip()
            self.log.write(plain + "\n")
            self._take(plain)
        self.log.flush()
        return len(text)

    def show(self, line: str) -> None:
        """Shows a line that stays."""
        if self._live:
            self.terminal.write(_CLEAR_LINE)
            self._live = False
        self.terminal.write(line + "\n")
        self.terminal.flush()

    def _take(self, line: str) -> None:
        kfp = _KFP.fullmatch(line)
        if kfp:
            self._take_event(kfp["message"])
        elif self._running and line.strip():
            self._take_output(line.removeprefix("    "))

    def _take_event(self, message: str) -> None:
        if started := _STARTED.match(message):
            self._begin(Stage(_name(started["task"])), "")
        elif reused := _REUSED.match(message):
            self._begin(Stage(_name(reused["task"]), cache_key=reused["key"]), ": finished earlier, reused")
        elif ended := _ENDED.match(message):
            self.stages[-1].failed = ended["status"] != "SUCCESS"
        self._running = message == "Streamed logs:"

    def _begin(self, stage: Stage, remark: str) -> None:
        if self.interrupted:
            # kfp.local goes through the rest of a loop before it ends, whatever happens: this ends each at once.
            raise KeyboardInterrupt
        self.stages.append(stage)
        self.show(f"{self._title()}{remark}")

    def _title(self) -> str:
        """Place and name of the stage that runs; those of a loop share a place and are counted."""
        names = [stage.name for stage in self.stages]
        place, name = len(set(names)), names[-1]
        return f"[{place}/{self.stage_count}] {name}" + (f" {names.count(name)}" if names.count(name) > 1 else "")

    def _take_output(self, line: str) -> None:
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
    """Opens `run.log` in an output folder, adding to what earlier runs wrote."""
    return (folder / "run.log").open("a", encoding="utf-8")
