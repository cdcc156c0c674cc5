"""Finds heads whose outputs are not in the data's order, by their predictions: label names may be missing or wrong."""

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
from compaware.components.core.models.config import load_model_config
from compaware.components.core.models.heads import find_order, head_is_fresh, permute_head
from compaware.components.core.models.load import save_classifier

log = logging.getLogger(__name__)
# A longer order does not fit into a message of one line.
_SHOWN_CHARACTERS = 120


@dataclass(frozen=True)
class BetterOrder:
    """An order of a model's outputs in which its predictions are far better than in the present one.

    Attributes:
        outputs: The index of the output for each label of the data.
        scores: The primary metric in both orders, as part of a sentence.
    """

    outputs: list[int]
    scores: str


def find_better_order(logits: np.ndarray, dataset: PreparedDataset, split: str = "validation") -> BetterOrder | None:
    """Finds an order in which the predictions are far better than in the present one; None if there is none."""
    if dataset.manifest.problem_type == "regression" or not np.isfinite(logits).all():
        return None
    metric, labels = dataset.manifest.metric, dataset.labels(split)
    outputs = fit_order(logits, labels)
    if outputs is None:
        return None
    before, after = (compute_metrics(metric, each, labels)[metric] for each in (logits, logits[:, outputs]))
    return BetterOrder(outputs, f"{metric} is {before:.4f}, and {after:.4f}")


def require_order(source: Path, logits: np.ndarray, dataset: PreparedDataset) -> None:
    """Checks that the outputs of a model are in the data's order.

    Args:
        source: The model's folder.
        logits: Its logits for validation, with the labels matched by name.
        dataset: The data.

    Raises:
        UserError: The predictions are far better in another order.
    """
    other = find_better_order(logits, dataset)
    if other is None:
        return
    outputs, how = find_order(load_model_config(source), dataset.manifest, role="model")
    by_output = sorted(
        (outputs[index], name) for index, name in zip(other.outputs, dataset.manifest.label_names, strict=True)
    )
    shown = json.dumps({str(output): name for output, name in by_output}, ensure_ascii=False)
    log.warning("the predictions of %s (labels %s) are better with id2label=%s", source, how, shown)
    raise UserError(
        f"the labels of {source} are not in the data's order: {other.scores} with "
        f"id2label={show_order(shown)} in its config.json: set it, or correct label_names of the data"
    )


def show_order(shown: str) -> str:
    """Returns an order for a message of one line, or a reference to the log if it is too long."""
    return shown if len(shown) <= _SHOWN_CHARACTERS else "… (see the log)"


def correct_student_order(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dataset: PreparedDataset,
    max_length_tokens: int,
    folder: Path,
) -> None:
    """Reorders the head of a student if its predictions are far better in another order.

    Args:
        model: The student before training; its head is changed in place.
        tokenizer: Its tokenizer.
        dataset: The data.
        max_length_tokens: Longer inputs are cut.
        folder: Folder to save the student in for the evaluation.
    """
    if dataset.manifest.problem_type == "regression" or head_is_fresh(model):
        return
    save_classifier(model, tokenizer, folder)
    logits = evaluate_folder(folder, dataset.path, max_length_tokens=max_length_tokens).logits
    other = find_better_order(logits, dataset)
    if other is not None:
        log.warning("the student's labels are reordered: %s in the new order", other.scores)
        permute_head(model, other.outputs)
