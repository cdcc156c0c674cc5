"""Measures the speed of Intel Extension for PyTorch against plain torch, in the environment that has IPEX.

    make test-ipex
    .venv-ipex/bin/python benchmarks/ipex_speed.py --data SST2_FOLDER --teacher TEACHER_FOLDER

FP32 in torch eager and FP32 and INT8 in IPEX each run in their own process and take turns on the validation split, at
the sentences' real lengths.
"""

import json
import tempfile
from pathlib import Path

from running import arguments, component, report
from tabulate import tabulate

from compaware.components.benchmark.report.formatting import format_batch_ratio
from compaware.components.benchmark.results import FILE_NAME, Benchmark


def main() -> None:
    """Runs the measurement."""
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=int, default=90, help="seconds for the timed rounds")
    options = parser.parse_args()
    candidate = {"name": "teacher", "role": "teacher", "folder": options.teacher, "runtimes": ["torch", "ipex"]}
    with tempfile.TemporaryDirectory() as folder:
        component("data_prep", "task=sst2", f"data={options.data}", f"{folder}/data")
        words = [f"candidates={json.dumps([candidate])}", "batch_sizes=[1, 32]", f"time_budget_s={options.seconds}"]
        component("benchmark", f"dataset={folder}/data", *words, f"{folder}/results")
        benchmark = Benchmark.model_validate_json(Path(folder, "results", FILE_NAME).read_text(encoding="utf-8"))
    report(options, benchmark.model_dump(), table(benchmark))


def table(benchmark: Benchmark) -> str:
    """Returns a table of accuracy and of speed over eager: median of the rounds, 10th to 90th percentile."""
    lines = []
    for item in benchmark.candidates:
        line = {"runtime": f"{item.runtime} {item.precision}", item.metric_name: f"{item.metric:.4f}"}
        for size, batch in item.batches.items():
            line |= {
                f"p50 ms, b{size}": f"{batch.p50_ms:.2f}",
                f"x eager, b{size}": format_batch_ratio(batch, "ratio_to_teacher"),
            }
        lines.append(line)
    return tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    main()
