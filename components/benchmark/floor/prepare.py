"""Trains the floors and prepares them for measurement."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from compaware.components.benchmark.config import BenchmarkConfig, Candidate, FloorName, FloorRuntime
from compaware.components.benchmark.floor import static, tfidf
from compaware.components.benchmark.floor.rows import TrainingRows
from compaware.components.benchmark.floor.text_split import TextSplit, text_columns
from compaware.components.benchmark.results import FloorTraining
from compaware.components.benchmark.splits import further_splits, inputs_file, rows_to_score
from compaware.components.benchmark.workers.failures import Failures
from compaware.components.benchmark.workers.worker_process import Variant
from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import PreparedDataset

RUNTIMES: dict[FloorName, FloorRuntime] = {"tfidf": "sklearn", "static": "numpy"}
log = logging.getLogger(__name__)


def prepare_floors(
    config: BenchmarkConfig, models: Sequence[Candidate], dataset: PreparedDataset, work: Path, failures: Failures
) -> tuple[list[Variant], dict[str, FloorTraining]]:
    """Trains each floor of the configuration and saves the splits for its worker.

    Args:
        config: The configuration of the benchmark.
        models: The candidates that fit the data; the floor `static` embeds the tokens of a teacher or student.
        dataset: The data.
        work: Folder for models and inputs.
        failures: Records the floors that cannot be trained; the benchmark goes on without them.

    Returns:
        The floors to measure, and how each was trained.
    """
    variants: list[Variant] = []
    trainings: dict[str, FloorTraining] = {}
    for name in config.floor:
        folder = work / name
        candidate = Candidate(name=name, role="floor", folder=folder)
        with failures.recording(candidate, RUNTIMES[name], "fp32"):
            folder.mkdir(parents=True, exist_ok=True)
            trainings[name] = _train(name, config, models, dataset, folder)
            files = tuple(sorted(folder.glob(f"{name}.*")))
            variants.append(Variant(candidate, RUNTIMES[name], "fp32", folder, files, folder))
    return variants, trainings


def _train(
    name: FloorName, config: BenchmarkConfig, models: Sequence[Candidate], dataset: PreparedDataset, folder: Path
) -> FloorTraining:
    started = time.monotonic()
    rows = TrainingRows.draw(dataset, config.seed)
    log.info("training the floor %s on %d of %d rows", name, rows.train.num_rows, dataset.manifest.splits["train"])
    if name == "static":
        features, strength = static.train(dataset.manifest, rows, folder, _transformer(models))
    else:
        features, strength = tfidf.train(dataset.manifest, rows, folder)
    for split in (config.split, *further_splits(config, dataset)):
        TextSplit(text_columns(rows_to_score(dataset, split))).save(inputs_file(folder, split))
    seconds = time.monotonic() - started
    log.info("trained the floor %s in %.1f s: %d features, C = %g", name, seconds, features, strength)
    return FloorTraining(rows=rows.train.num_rows, features=features, regularization_c=strength, seconds=seconds)


def _transformer(models: Sequence[Candidate]) -> Path:
    """Returns the folder of the first teacher, or without one of the first student."""
    for role in ("teacher", "student"):
        for candidate in models:
            if candidate.role == role:
                return candidate.folder
    raise UserError("static embeddings need a teacher or a student: give one, or leave static out of floor")
