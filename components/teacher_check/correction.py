"""Corrects a teacher's head if its predictions on validation have another scale or order than the labels."""

import json
import logging

import numpy as np
from transformers import PreTrainedModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.evaluation.evaluate import Evaluation
from compaware.components.core.evaluation.head_fit import fit_scale
from compaware.components.core.evaluation.label_order import find_better_order, show_order
from compaware.components.core.models.heads import Alignment, permute_head, rescale_head
from compaware.components.teacher_check.config import TeacherCheckConfig

log = logging.getLogger(__name__)
# With a lower correlation, the scale of the outputs cannot be determined.
_MIN_CORRELATION = 0.1


def correct_head(
    model: PreTrainedModel,
    evaluation: Evaluation,
    dataset: PreparedDataset,
    aligned: Alignment,
    config: TeacherCheckConfig,
) -> Alignment | None:
    """Corrects the scale of a regression teacher or, if fine-tuning is allowed, the order of a classifier's labels.

    Args:
        model: The teacher; its head is changed in place.
        evaluation: Its evaluation on validation.
        dataset: The data.
        aligned: How its labels were matched.
        config: May allow fine-tuning; a `label_order` in it is not changed.

    Returns:
        The new alignment of the outputs; None if nothing was changed.

    Raises:
        UserError: The outputs are in another order, or fall when the labels rise, and fine-tuning is not allowed.
    """
    if not np.isfinite(evaluation.logits).all():
        return None
    if dataset.manifest.problem_type == "regression":
        return _correct_scale(model, evaluation, dataset, aligned, config)
    return _correct_order(model, evaluation, dataset, aligned, config)


def _correct_scale(
    model: PreTrainedModel,
    evaluation: Evaluation,
    dataset: PreparedDataset,
    aligned: Alignment,
    config: TeacherCheckConfig,
) -> Alignment | None:
    line = fit_scale(evaluation.logits, dataset.labels("validation"))
    correlation = evaluation.metrics["pearson"]
    if line is None or abs(correlation) < _MIN_CORRELATION:
        return None
    if line.slope < 0 and not config.fine_tune_if_needed:
        raise UserError(
            f"the teacher's outputs fall when the labels rise (pearson {correlation:.4f}): use another teacher, invert "
            f"the labels, or set fine_tune_if_needed=true to continue with {line}"
        )
    log.warning(
        "the teacher's outputs are on another scale than the labels (RMSE %.3g): its head is rescaled by %s "
        "(RMSE %.3g)",
        *(line.before, line, line.after),
    )
    rescale_head(model, line.slope, line.intercept)
    return Alignment(f"{aligned.how}, rescaled to the labels: {line}", [])


def _correct_order(
    model: PreTrainedModel,
    evaluation: Evaluation,
    dataset: PreparedDataset,
    aligned: Alignment,
    config: TeacherCheckConfig,
) -> Alignment | None:
    other = find_better_order(evaluation.logits, dataset)
    if other is None:
        return None
    names = [aligned.names[index] for index in other.outputs]
    shown = json.dumps(names, ensure_ascii=False)
    log.warning(
        "the teacher's predictions (labels %s) are better in another order: %s with label_order=%s",
        *(aligned.how, other.scores, shown),
    )
    if not config.fine_tune_if_needed:
        raise UserError(
            f"the teacher's labels are not in the data's order: {other.scores} with "
            f"label_order={show_order(shown)}: set it, or correct label_names of the data"
        )
    if config.label_order is not None:
        return None
    permute_head(model, other.outputs)
    return Alignment(f"in the order that is best on validation: {shown}", names)
