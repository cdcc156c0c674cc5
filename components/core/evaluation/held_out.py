"""Scores of a finished model on the test split, which no choice may depend on: stages ask for them last."""

import logging
from pathlib import Path
from typing import Any

from compaware.components.core.base.distributed import broadcast, is_main
from compaware.components.core.data.dataset import Manifest, PreparedDataset
from compaware.components.core.evaluation.criterion import CHOSEN_ON_THESE_ROWS
from compaware.components.core.evaluation.evaluate import Evaluation, evaluate_folder

log = logging.getLogger(__name__)


def evaluate_on_test(folder: Path, dataset: PreparedDataset, **options: Any) -> Evaluation | None:
    """Evaluates a saved model on the test split, in a new process on rank 0.

    Args:
        folder: The finished model, on rank 0.
        dataset: The data.
        **options: Options of `evaluate_folder`.

    Returns:
        The evaluation, on all ranks; None if the data has no labelled test split.
    """
    if not dataset.has_test:
        return None
    log.info("evaluating the finished model on %d test rows", dataset.manifest.splits["test"])
    return broadcast(evaluate_folder(folder, dataset.path, "test", **options) if is_main() else None)


def metrics_on_test(prefix: str, evaluation: Evaluation | None) -> dict[str, float]:
    """Returns metrics of a summary, such as `student_test_accuracy`; none without an evaluation."""
    return {f"{prefix}_test_{name}": value for name, value in evaluation.metrics.items()} if evaluation else {}


def describe_rows(manifest: Manifest, chosen: str) -> str:
    """Returns a sentence that says what the rows of each split were used for.

    Args:
        manifest: Names the splits and their rows.
        chosen: What was chosen on validation, such as `the checkpoint and the quantization`.
    """
    sentence = f"Validation ({manifest.splits['validation']:,} rows) was used to choose {chosen}"
    if rows := manifest.splits.get("test"):
        return f"{sentence}; test ({rows:,} rows) was used for no choice."
    return f"{sentence}. There is no test split: the figures are of models {CHOSEN_ON_THESE_ROWS}."
