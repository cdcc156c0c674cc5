"""What a local pipeline costs beside its work: start-up, imports, what KFP does between stages, and the ends.

    python benchmarks/overhead.py --config pipelines/distillation_then_quantization/configs/sample.yaml

A stage's work is from the first to the last line that the component logs, by the times in the run's log; what lies
before and after is overhead. Times are whole seconds, so a stage's figures are within one.
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
    """Measures; see the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pipeline", default="distillation_then_quantization")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="where the figures are written, too")
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
    """Seconds before, in and after the work of each stage."""
    stages: dict[str, dict[str, float]] = {}
    begun, logged = 0.0, []
    for line in text.splitlines():
        if found := _BEGUN.match(line):
            begun, logged = seconds(found[1]), []
        elif found := _LOGGED.match(line):
            logged.append(seconds(found[1]))
        elif found := _ENDED.match(line):
            first, last, ended = logged[0], logged[-1], seconds(found[1])
            times = {"before_s": first - begun, "work_s": last - first, "after_s": ended - last}
            stages[found[2]] = {name: value % 86400 for name, value in times.items()}
    return stages


def seconds(clock: str) -> float:
    """Since midnight."""
    return (datetime.strptime(clock, "%H:%M:%S") - datetime(1900, 1, 1)).total_seconds()


def share(stage: dict[str, float]) -> str:
    """What is not work, of all."""
    total = sum(stage.values())
    return f"{100 * (1 - stage['work_s'] / total):.0f} %" if total else "-"


if __name__ == "__main__":
    main()
