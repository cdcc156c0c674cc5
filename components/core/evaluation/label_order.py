"""Looks for a head in another order than the data's: names may be missing or wrong, answers to validation tell."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.evaluation.evaluate import evaluate_folder
from compaware.components.core.evaluation.head_fit import fit_order
from compaware.components.core.evaluation.metrics import compute_metrics
from compaware.components.core.models.config import load_config
from compaware.components.core.models.heads import find_order, head_is_fresh, permute_head
from compaware.components.core.models.load import save_classifier

log = logging.getLogger(__name__)
# A longer order is not for a message of one line.
_SHOWN_CHARACTERS = 120


@dataclass(frozen=True)
class BetterOrder:
    """An order of a model's outputs that its answers fit far better than the one at hand.

    Attributes:
        outputs: For each label of the data the output that means it.
        scores: The primary metric in both orders, as a clause.
    """

    outputs: list[int]
    scores: str


def find_better_order(logits: np.ndarray, dataset: PreparedDataset, split: str = "validation") -> BetterOrder | None:
    """Finds the order that answers to a split fit, where it is not the one at hand."""
    if dataset.manifest.problem_type == "regression" or not np.isfinite(logits).all():
        return None
    metric, labels = dataset.manifest.metric, dataset.labels(split)
    outputs = fit_order(logits, labels)
    if outputs is None:
        return None
    before, after = (compute_metrics(metric, each, labels)[metric] for each in (logits, logits[:, outputs]))
    return BetterOrder(outputs, f"{metric} is {before:.4f}, and {after:.4f}")


def require_order(source: Path, logits: np.ndarray, dataset: PreparedDataset) -> None:
    """Checks that the head of a model, which is used as it is, has the data's order.

    Args:
        source: The model's folder.
        logits: Its answers to validation, in the order that its names gave.
        dataset: The data.

    Raises:
        UserError: The answers fit another order far better.
    """
    other = find_better_order(logits, dataset)
    if other is None:
        return
    outputs, how = find_order(load_config(source), dataset.manifest, role="model")
    by_output = sorted(
        (outputs[found], name) for found, name in zip(other.outputs, dataset.manifest.label_names, strict=True)
    )
    shown = json.dumps({str(output): name for output, name in by_output}, ensure_ascii=False)
    log.warning("the answers of %s (labels %s) fit id2label=%s better", source, how, shown)
    raise UserError(
        f"the labels of {source} are not in the data's order: {other.scores} with "
        f"id2label={shorten(shown)} in its config.json: set that, or correct label_names of the data"
    )


def shorten(shown: str) -> str:
    """An order that the log shows, for a message of one line."""
    return shown if len(shown) <= _SHOWN_CHARACTERS else "… as the log shows it"


def correct_student_order(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dataset: PreparedDataset,
    max_length_tokens: int,
    folder: Path,
) -> None:
    """Puts the head that a student came with in the order that its answers to validation fit.

    Args:
        model: The student, which is trained from here on; its head is changed in place.
        tokenizer: Its tokenizer.
        dataset: The data.
        max_length_tokens: Longer inputs are cut.
        folder: Where the student is saved to be measured.
    """
    if dataset.manifest.problem_type == "regression" or head_is_fresh(model):
        return
    save_classifier(model, tokenizer, folder)
    logits = evaluate_folder(folder, dataset.path, max_length_tokens=max_length_tokens).logits
    other = find_better_order(logits, dataset)
    if other is not None:
        log.warning("the student's head is put in the order that its answers fit: %s in that", other.scores)
        permute_head(model, other.outputs)
