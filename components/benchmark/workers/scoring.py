"""Scores splits with each candidate in each runtime and precision, and keeps the logits in files."""

import logging
from pathlib import Path

import numpy as np

from compaware.components.benchmark.config import BenchmarkConfig
from compaware.components.benchmark.splits import further_splits
from compaware.components.benchmark.workers.variants import output_order
from compaware.components.benchmark.workers.worker_process import Worker
from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.evaluation.label_order import find_better_order
from compaware.components.core.evaluation.metrics import compute_metrics, f1_by_label

SCORING_BATCH = 32
log = logging.getLogger(__name__)


def logits_file(work: Path, identifier: str, split: str) -> Path:
    """Returns the file of a variant's logits for a split: (rows, labels), in the data's order of rows and labels."""
    return work / f"{identifier}-{split}.npy"


def score(worker: Worker, dataset: PreparedDataset, split: str, work: Path) -> np.ndarray:
    """Has a worker write the logits of a split, and returns them.

    Raises:
        UserError: Some logits are NaN or infinite.
    """
    file = logits_file(work, worker.variant.id, split)
    worker.request(score=str(file), inputs=str(worker.variant.inputs(split)), batch_size=SCORING_BATCH)
    logits: np.ndarray = np.load(file)[:, output_order(worker.variant.candidate, dataset)]
    np.save(file, logits)
    if not np.isfinite(logits).all():
        raise UserError(f"some of its logits for {split} are NaN or infinite: train this model again")
    return logits


def score_timed_split(
    worker: Worker, dataset: PreparedDataset, config: BenchmarkConfig, work: Path
) -> tuple[float, dict[str, float]]:
    """Returns the primary metric over `config.split`, and F1 by label for multi-label data, from a worker's logits."""
    logits, manifest, labels = (
        score(worker, dataset, config.split, work),
        dataset.manifest,
        dataset.labels(config.split),
    )
    metric = compute_metrics(manifest.metric, logits, labels)[manifest.metric]
    log.info("%s: %s %.4f", worker.variant.id, manifest.metric, metric)
    is_floor = worker.variant.candidate.role == "floor"
    other = None if is_floor else find_better_order(logits, dataset, config.split)
    if other is not None:
        log.warning(
            "%s seems to have its labels in another order: %s in that order; correct id2label in %s",
            *(worker.variant.id, other.scores, worker.variant.candidate.folder / "config.json"),
        )
    by_label = f1_by_label(logits, labels) if labels.ndim == 2 else []
    return metric, dict(zip(manifest.label_names, by_label, strict=False))


def score_further_splits(worker: Worker, dataset: PreparedDataset, config: BenchmarkConfig, work: Path) -> None:
    """Has a worker write the logits of the splits that are only scored."""
    for split in further_splits(config, dataset):
        score(worker, dataset, split, work)
