"""Copies a run's results to its output folder and prints them as a table."""

import os
import shutil
from pathlib import Path

from tabulate import tabulate

from compaware.components.benchmark.results import FILE_NAME, Benchmark
from compaware.components.sweep_benchmark.sweep_results import SWEEP_FILE
from compaware.pipelines.client.local import artifact
from compaware.pipelines.client.view import Stage

# Only a sweep has the last file.
_FILES = ("report.html", "report.md", FILE_NAME, SWEEP_FILE)


def collect(output: Path, stage: Stage) -> Benchmark:
    """Copies the report files, and links the measured models, into the output folder.

    Args:
        output: The run's folder. The models become `models/<name>`; in most pipelines the name is the role.
        stage: The finished benchmark.

    Returns:
        The results of the benchmark.
    """
    results = artifact(output, stage, "results")
    for name in _FILES:
        if (results / name).is_file():
            shutil.copyfile(results / name, output / name)
    measured = Benchmark.model_validate_json((output / FILE_NAME).read_text(encoding="utf-8"))
    models = output / "models"
    shutil.rmtree(models, ignore_errors=True)
    for name, folder in {candidate.name: candidate.path for candidate in measured.models}.items():
        # Hard links, so that files are not stored twice.
        shutil.copytree(folder, models / name, copy_function=os.link)
    return measured


def collect_history(output: Path, stage: Stage) -> Path:
    """Copies the page of published models to the output folder.

    Args:
        output: The run's folder.
        stage: The finished publication.

    Returns:
        Path of the copy.
    """
    return Path(shutil.copyfile(artifact(output, stage, "record") / "history.html", output / "history.html"))


def table(measured: Benchmark) -> str:
    """Returns a table with scores, size, latency at the first and throughput at the last batch size."""
    first, last = measured.batch_sizes[0], measured.batch_sizes[-1]
    metric = measured.candidates[0].metric_name
    rows = [
        {
            "candidate": candidate.name,
            "precision": candidate.precision,
            "runtime": candidate.runtime,
            metric: f"{candidate.metric:.4f}",
            **({f"{metric}, test": f"{candidate.test.metric:.4f}"} if candidate.test else {}),
            "MB": f"{candidate.size_bytes / 1e6:.1f}",
            f"p50 ms, batch {first}": f"{candidate.batches[first].p50_ms:.2f}",
            f"samples/s, batch {last}": f"{candidate.batches[last].samples_per_s:.0f}",
        }
        for candidate in measured.candidates
    ]
    align = ("left",) * 3 + ("right",) * (len(rows[0]) - 3)
    return tabulate(rows, headers="keys", disable_numparse=True, colalign=align)
