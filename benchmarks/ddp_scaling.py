"""What distributed training costs: samples/s of one and two processes, and bytes that each step sends.

    sudo unshare --net sh -c "ip link set lo up; python benchmarks/ddp_scaling.py --data SST2 --teacher TEACHER"

Each process has one thread and the same batch, so that two processes do twice the work of one: their efficiency is what
gradients, waiting and shared memory leave. Traffic is counted on the loopback interface, which nothing else may use:
hence a network of its own.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
from running import arguments, report
from tabulate import tabulate

from compaware.components.core.summary import Summary

LAYERS = [0, 1, 2]
ROWS = 2000


def main() -> None:
    """Measures; see the module."""
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        component("data_prep", 1, "task=sst2", f"data={options.data}", f"max_train_rows={ROWS}", folder / "data")
        component(
            *("teacher_check", 1, f"dataset={folder}/data", f"teacher={options.teacher}"),
            *(f"soft_labels_output={folder}/soft", folder / "teacher"),
        )
        lines = [measure(folder, processes, options.steps) for processes in (1, 2)]
    for line in lines:
        line["efficiency"] = line["samples_per_s"] / (line["processes"] * lines[0]["samples_per_s"])
    report(options, lines, tabulate(lines, headers="keys", tablefmt="github", floatfmt=".2f"))


def measure(folder: Path, processes: int, steps: int) -> dict[str, Any]:
    """Trains a student for some steps."""
    output = folder / f"student-{processes}"
    before = psutil.net_io_counters(pernic=True)["lo"].bytes_sent
    component(
        *("distillation", processes, f"dataset={folder}/data", f"teacher={folder}/teacher"),
        *(f"soft_labels={folder}/soft", f"student_layers={LAYERS}", "max_length_tokens=64"),
        *(f"training_arguments={{max_steps: {steps}}}", output),
    )
    sent = psutil.net_io_counters(pernic=True)["lo"].bytes_sent - before
    metrics = Summary.load(output).metrics
    return {
        "processes": processes,
        "samples_per_s": metrics["training_samples_per_s"],
        "ms_per_step": 1000 * metrics["training_s"] / steps,
        "gradient_mb": 4 * metrics["student_parameters"] / 1e6,
        "sent_mb_per_step": sent / steps / 1e6,
    }


def component(name: str, processes: int, *words: Any) -> None:
    """Runs a component on some processes of one thread each; its output is the last word."""
    *given, output = map(str, words)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *launch, "-m", f"compaware.components.{name}", *given, f"output={output}"]
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
