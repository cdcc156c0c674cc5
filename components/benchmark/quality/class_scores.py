"""Precision, recall and F1 by class."""

from collections.abc import Sequence

import numpy as np

from compaware.components.benchmark.quality.probabilities import share_interval_inputs
from compaware.components.benchmark.quality.results import ClassScore
from compaware.components.core.evaluation.intervals import Difference, Interval, paired_difference, score_interval
from compaware.components.core.evaluation.metrics import decisions


def class_rows(labels: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    """Returns the number of rows of each class, or with each label."""
    return dict(zip(names, _memberships(labels, len(names)).sum(axis=0).tolist(), strict=True))


def class_scores(
    logits: np.ndarray, labels: np.ndarray, names: Sequence[str], reference: np.ndarray | None = None
) -> dict[str, ClassScore]:
    """Returns the scores of each class, or of each label of multi-label data.

    Args:
        logits: (rows, labels).
        labels: (rows,) class indices, or (rows, labels) of 0 and 1 for multi-label data.
        names: Names of the classes or labels.
        reference: Logits of the dense FP32 model, to compare recall with; None for no comparison.
    """
    from sklearn.metrics import precision_recall_fscore_support

    truth, assigned = _memberships(labels, len(names)), _assigned(logits, labels)
    compared = None if reference is None else _assigned(reference, labels)
    precision, _, f1, _ = precision_recall_fscore_support(truth, assigned, average=None, zero_division=0.0)
    scores = {}
    for index, name in enumerate(names):
        rows = truth[:, index]
        scores[name] = ClassScore(
            precision=float(precision[index]),
            recall=_share(assigned[rows, index]),
            f1=float(f1[index]),
            recall_change=None if compared is None else _change(assigned[rows, index], compared[rows, index]),
        )
    return scores


def _memberships(labels: np.ndarray, count: int) -> np.ndarray:
    return (labels > 0) if labels.ndim == 2 else labels[:, None] == np.arange(count)


def _assigned(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    multi_label = labels.ndim == 2
    decided = decisions(logits, multi_label=multi_label)
    return decided if multi_label else _memberships(decided, logits.shape[1])


def _share(found: np.ndarray) -> Interval | None:
    return score_interval("accuracy", *share_interval_inputs(found)) if len(found) else None


def _change(found: np.ndarray, reference: np.ndarray) -> Difference | None:
    if not len(found):
        return None
    logits, labels = share_interval_inputs(found)
    return paired_difference("accuracy", logits, share_interval_inputs(reference)[0], labels)
