"""Measures the cost of distributed training: samples/s of one and two ranks, and bytes and time of the gradients.

    sudo unshare --net sh -c "ip link set lo up; python benchmarks/ddp_scaling.py --data SST2 --teacher TEACHER"

Each rank has one thread and the same batch size, so two ranks do twice the work of one. They lose speed to gradient
exchange, waiting and shared memory bandwidth. Two trainings at once, which exchange nothing, measure the loss to shared
memory bandwidth; the rest is the time of the gradients. Traffic is counted on the loopback interface of a separate
network namespace, which nothing else uses.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
from running import arguments, component, report
from tabulate import tabulate

from compaware.components.core.base.summary import Summary

LAYERS = [0, 1, 2]
ROWS = 2000


def main() -> None:
    """Runs the measurement."""
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        component("data_prep", "task=sst2", f"data={options.data}", f"max_train_rows={ROWS}", folder / "data")
        component(
            *("teacher_check", f"dataset={folder}/data", f"teacher={options.teacher}"),
            *(f"soft_labels_output={folder}/soft", folder / "teacher"),
        )
        one = measure(folder, "one rank", options.steps, trainings=1, ranks=1)
        apart = measure(folder, "two trainings at once", options.steps, trainings=2, ranks=1)
        two = measure(folder, "two ranks", options.steps, trainings=1, ranks=2)
    lines = [one, apart, two]
    for line in lines:
        line["of one rank's speed"] = line["samples/s"] / one["samples/s"]
        line["gradients, ms a step"] = two["ms a step"] - apart["ms a step"] if line is two else 0.0
    report(options, lines, tabulate(lines, headers="keys", tablefmt="github", floatfmt=".2f"))


def measure(folder: Path, name: str, steps: int, *, trainings: int, ranks: int) -> dict[str, Any]:
    """Trains `trainings` students at once, each on `ranks` ranks with one thread, and returns their figures."""
    outputs = [folder / f"student-{trainings}-{ranks}-{number}" for number in range(trainings)]
    before = psutil.net_io_counters(pernic=True)["lo"].bytes_sent
    running = [start(folder, output, steps, ranks) for output in outputs]
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit(f"{name}: training failed")
    sent = psutil.net_io_counters(pernic=True)["lo"].bytes_sent - before
    metrics = [Summary.load(output).metrics for output in outputs]
    return {
        "arm": name,
        "samples/s": sum(each["training_samples_per_s"] for each in metrics),
        "ms a step": statistics.mean(1000 * each["training_s"] / steps for each in metrics),
        "MB sent a step": sent / steps / 1e6,
    }


def start(folder: Path, output: Path, steps: int, ranks: int) -> subprocess.Popen[bytes]:
    """Starts a distillation and returns its process."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    words = [f"dataset={folder}/data", f"teacher={folder}/teacher", f"soft_labels={folder}/soft", f"output={output}"]
    # Evaluations are off, so that only steps are timed.
    no_evaluation = f"{{max_steps: {steps}, eval_strategy: 'no', save_strategy: 'no'}}"
    words += [f"student_layers={LAYERS}", "max_length_tokens=64", f"training_arguments={no_evaluation}"]
    command = [sys.executable, *launch, "-m", "compaware.components.distillation", *words]
    return subprocess.Popen(command, stdout=sys.stderr, env={**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
