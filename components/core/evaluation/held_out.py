"""Scores of a finished model on the test split, which no choice may depend on: stages ask for them last."""

import logging
from pathlib import Path
from typing import Any

from compaware.components.core.base.distributed import call_on_main
from compaware.components.core.data.dataset import TEST, Manifest, PreparedDataset
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
    log.info("evaluating the finished model on %d test rows", dataset.manifest.splits[TEST])
    return call_on_main(evaluate_folder, folder, dataset.path, TEST, **options)


def metrics_on_test(prefix: str, evaluation: Evaluation | None) -> dict[str, float]:
    """Returns metrics of a summary, such as `student_test_accuracy`; none without an evaluation."""
    return {f"{prefix}_test_{name}": value for name, value in evaluation.metrics.items()} if evaluation else {}


def describe_rows(manifest: Manifest, chosen: str) -> str:
    """Returns a sentence that says what the rows of validation and test were used for.

    Args:
        manifest: Names the splits and their rows.
        chosen: What was chosen on validation, such as `the checkpoint and the quantization`.
    """
    rows = manifest.splits
    return describe_split_use("Validation", rows["validation"], rows.get(TEST), chosen, "There is no test split")


def describe_split_use(split: str, rows: int, test_rows: int | None, chosen: str, without_test: str) -> str:
    """Returns a sentence that says what the rows of two splits were used for.

    Args:
        split: The split that decides, as the first word of the sentence.
        rows: Its rows.
        test_rows: Rows of the test split; None or 0 without one.
        chosen: What was chosen on the split that decides, such as `the form to serve`.
        without_test: Why there are no scores on test, where there are none.
    """
    sentence = f"{split} ({rows:,} rows) was used to choose {chosen}"
    if test_rows:
        return f"{sentence}; test ({test_rows:,} rows) was used for no choice."
    return f"{sentence}. {without_test}: the scores are of models {CHOSEN_ON_THESE_ROWS}."
