"""Corrects a teacher's head where its answers to validation show another scale or another order than the labels'."""

import json
import logging

import numpy as np
from transformers import PreTrainedModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.evaluation.evaluate import Evaluation
from compaware.components.core.evaluation.head_fit import fit_scale
from compaware.components.core.evaluation.label_order import find_better_order, shorten
from compaware.components.core.models.heads import Alignment, permute_head, rescale_head
from compaware.components.teacher_check.config import TeacherCheckConfig

log = logging.getLogger(__name__)
# Numbers that are less correlated with the labels say nothing about a scale.
_LEAST_CORRELATION = 0.1


def correct_head(
    model: PreTrainedModel,
    evaluation: Evaluation,
    dataset: PreparedDataset,
    aligned: Alignment,
    config: TeacherCheckConfig,
) -> Alignment | None:
    """Corrects the scale of a regression teacher and, where it may be fine-tuned, the order of another's labels.

    Args:
        model: The teacher, whose head is changed in place.
        evaluation: Its answers to validation.
        dataset: The data.
        aligned: How its labels were matched.
        config: May allow fine-tuning, and may give an order of labels, which then stays.

    Returns:
        What the outputs are now; None where nothing was changed.

    Raises:
        UserError: The outputs are in another order, or fall where the labels rise, and fine-tuning is not allowed.
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
    if line is None or abs(correlation) < _LEAST_CORRELATION:
        return None
    if line.slope < 0 and not config.fine_tune_if_needed:
        raise UserError(
            f"the teacher's numbers fall where the labels rise (pearson {correlation:.4f}): give a teacher or labels "
            f"that mean the opposite, or set fine_tune_if_needed=true to go on with {line}"
        )
    log.warning(
        "the teacher's numbers are on another scale than the labels (RMSE %.3g): its head is changed to answer %s "
        "(RMSE %.3g)",
        *(line.before, line, line.after),
    )
    rescale_head(model, line.slope, line.intercept)
    return Alignment(f"{aligned.how}, put on the labels' scale: {line}", [])


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
        "the teacher's answers (labels %s) fit another order: %s with label_order=%s",
        *(aligned.how, other.scores, shown),
    )
    if not config.fine_tune_if_needed:
        raise UserError(
            f"the teacher's labels are not in the data's order: {other.scores} with "
            f"label_order={shorten(shown)}: set that, or correct label_names of the data"
        )
    if config.label_order is not None:
        return None
    permute_head(model, other.outputs)
    return Alignment(f"in the order that validation shows: {shown}", names)
