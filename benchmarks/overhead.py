"""Measures the overhead of a local pipeline: start-up, imports, and the work of KFP between stages.

    python benchmarks/overhead.py --config pipelines/distillation_then_quantization/configs/sample.yaml

A stage's work lasts from the first to the last line that the component logs, by the times in the run's log; the time
before and after it is overhead. Times are whole seconds, so figures are accurate to one second.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from running import report
from tabulate import tabulate

_BEGUN = re.compile(r"(\d\d:\d\d:\d\d)\S* - INFO - Executing task '(\S+)'")
_ENDED = re.compile(r"(\d\d:\d\d:\d\d)\S* - INFO - Task '(\S+)' finished")
_LOGGED = re.compile(r" +(\d\d:\d\d:\d\d) (?:INFO|WARNING) ")


def main() -> None:
    """Runs the measurement."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pipeline", default="distillation_then_quantization")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="JSON file for the figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = ["run", options.pipeline, "--config", str(options.config), "--output", folder]
        subprocess.run([sys.executable, "-m", "compaware.pipelines.client.main", *words], check=True, stdout=sys.stderr)
        stages = read_log(Path(folder, "run.log").read_text(encoding="utf-8"))
    total = {name: sum(stage[name] for stage in stages.values()) for name in ("before_s", "work_s", "after_s")}
    stages["all"] = total
    table = [{"stage": name, **stage, "overhead": share(stage)} for name, stage in stages.items()]
    report(options, stages, tabulate(table, headers="keys", tablefmt="github", floatfmt=".0f"))


def read_log(text: str) -> dict[str, dict[str, float]]:
    """Returns the seconds before, in and after the work of each stage."""
    stages: dict[str, dict[str, float]] = {}
    begun, logged = 0.0, []
    for line in text.splitlines():
        if match := _BEGUN.match(line):
            begun, logged = seconds(match[1]), []
        elif match := _LOGGED.match(line):
            logged.append(seconds(match[1]))
        elif match := _ENDED.match(line):
            first, last, ended = logged[0], logged[-1], seconds(match[1])
            times = {"before_s": first - begun, "work_s": last - first, "after_s": ended - last}
            stages[match[2]] = {name: value % 86400 for name, value in times.items()}
    return stages


def seconds(clock: str) -> float:
    """Returns the seconds since midnight."""
    return (datetime.strptime(clock, "%H:%M:%S") - datetime(1900, 1, 1)).total_seconds()


def share(stage: dict[str, float]) -> str:
    """Returns the share of a stage's time that is overhead."""
    total = sum(stage.values())
    return f"{100 * (1 - stage['work_s'] / total):.0f} %" if total else "-"


if __name__ == "__main__":
    main()
