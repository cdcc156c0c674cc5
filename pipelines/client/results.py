"""Puts a run's results where people look for them, and tells of them."""

import os
import shutil
from pathlib import Path

from tabulate import tabulate

from compaware.components.benchmark.results import FILE_NAME, Benchmark
from compaware.components.sweep_benchmark.sweep_results import SWEEP_FILE
from compaware.pipelines.client.local import artifact
from compaware.pipelines.client.view import Stage

# Only a sweep has the last one.
_FILES = ("report.html", "report.md", FILE_NAME, SWEEP_FILE)


def collect(output: Path, stage: Stage) -> Benchmark:
    """Links the report files and the measured models into the output folder.

    Args:
        output: The run's folder; gets the report files and `models/<name>`; in most pipelines the name is the role.
        stage: The finished benchmark.

    Returns:
        What the benchmark measured.
    """
    results = artifact(output, stage, "results")
    for name in _FILES:
        if (results / name).is_file():
            shutil.copyfile(results / name, output / name)
    measured = Benchmark.model_validate_json((output / FILE_NAME).read_text(encoding="utf-8"))
    models = output / "models"
    shutil.rmtree(models, ignore_errors=True)
    for name, folder in {candidate.name: candidate.path for candidate in measured.candidates}.items():
        # Hard links: the same files under a second name, not a second copy.
        shutil.copytree(folder, models / name, copy_function=os.link)
    return measured


def collect_history(output: Path, stage: Stage) -> Path:
    """Puts the page of what was published into the output folder.

    Args:
        output: The run's folder.
        stage: The finished publication.

    Returns:
        The page.
    """
    return Path(shutil.copyfile(artifact(output, stage, "record") / "history.html", output / "history.html"))


def table(measured: Benchmark) -> str:
    """The candidates as a table: score, size, latency at the smallest batch and throughput at the largest."""
    first, last = measured.batch_sizes[0], measured.batch_sizes[-1]
    metric = measured.candidates[0].metric_name
    headers = ["candidate", "precision", "runtime", metric, "MB", f"p50 ms, batch {first}", f"samples/s, batch {last}"]
    rows = [
        [
            candidate.name,
            candidate.precision,
            candidate.runtime,
            f"{candidate.metric:.4f}",
            f"{candidate.size_bytes / 1e6:.1f}",
            f"{candidate.batches[first].p50_ms:.2f}",
            f"{candidate.batches[last].samples_per_s:.0f}",
        ]
        for candidate in measured.candidates
    ]
    return tabulate(rows, headers=headers, disable_numparse=True, colalign=("left",) * 3 + ("right",) * 4)
