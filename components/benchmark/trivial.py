"""Finds candidates that do not use the text: they predict the same for every row, or score no better than such ones."""

from collections.abc import Iterable, Sequence

import numpy as np
from pydantic import BaseModel

from compaware.components.core.base.rendering import cut_short
from compaware.components.core.base.summary import Score
from compaware.components.core.evaluation.metrics import decisions, majority_baseline

# Numbers that differ by less than this part of the labels' range count as the same.
_SAME_NUMBER = 1e-3


class Trivial(BaseModel):
    """Predictions that ignore the text, on the split that is reported.

    Attributes:
        score: The metric of the best ones, see `metrics.majority_baseline`.
        constant: By id of each candidate that predicts the same for every row, what it predicts: `'joy'`, or for
            regression a number.
    """

    score: Score
    constant: dict[str, str] = {}


def find_trivial(
    metric: str, labels: np.ndarray, names: Sequence[str], logits: Iterable[tuple[str, np.ndarray]]
) -> Trivial | None:
    """Finds the candidates that predict the same for every row; None if the rows have one label only.

    Args:
        metric: The primary metric.
        labels: Labels of the split, as `metrics.compute_metrics` takes them.
        names: Names of the classes or labels; empty for regression.
        logits: Id and logits of each candidate.
    """
    if (labels == labels[0]).all():
        return None
    constant = {identifier: text for identifier, each in logits if (text := _constant(each, labels, names))}
    return Trivial(score=majority_baseline(metric, labels, len(names)), constant=constant)


def _constant(logits: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> str | None:
    """Returns what is predicted for every row; None if predictions differ or are no numbers."""
    if not np.isfinite(logits).all():
        return None
    if not names:
        return f"{logits.mean():.4g}" if np.ptp(logits) <= _SAME_NUMBER * np.ptp(labels) else None
    decided = decisions(logits, multi_label=labels.ndim == 2)
    if (decided != decided[0]).any():
        return None
    indices = np.flatnonzero(decided[0]).tolist() if labels.ndim == 2 else [int(decided[0])]
    return " with ".join(f"'{cut_short(names[index])}'" for index in indices) or "no label"
