"""What a model's answers to validation say about its head: another order than the data's, or another scale."""

from dataclasses import dataclass

import numpy as np

from compaware.components.core.evaluation.metrics import decisions

# Answers fit another order where, among the labels that move, most rows agree with it, so many times as many as agree
# with the order at hand, and the difference is so many standard deviations of chance (McNemar's test).
_TIMES = 2
_DEVIATIONS = 3.0
# Numbers are on another scale where a line would lessen their mean squared error by this share of the labels' variance.
_LEAST_GAIN = 0.1
# And by more than chance in few rows (the F test of a line's two parameters).
_LEAST_F = 10.0
_LEAST_ROWS = 5


def fit_order(logits: np.ndarray, labels: np.ndarray) -> list[int] | None:
    """Finds the order of the outputs that a model's answers fit far better than the one at hand.

    Args:
        logits: (rows, labels) of validation.
        labels: (rows,) class indices, or (rows, labels) of 0 and 1.

    Returns:
        For each label the output that means it, a permutation; None where the order at hand fits.
    """
    from scipy.optimize import linear_sum_assignment

    counts, in_data, answered = _count(logits, labels)
    f1 = 2 * counts / np.maximum(in_data[:, None] + answered[None, :], 1)
    order = linear_sum_assignment(f1, maximize=True)[1]
    moved = np.flatnonzero(order != np.arange(len(order)))
    now, then = counts[moved, moved].sum(), counts[moved, order[moved]].sum()
    most = then > in_data[moved].sum() / 2 and then >= _TIMES * now
    certain = then - now > _DEVIATIONS * np.sqrt(then + now)
    return order.tolist() if len(moved) and most and certain else None


@dataclass(frozen=True)
class Line:
    """Labels as a line of a teacher's answers: label = slope * answer + intercept.

    Attributes:
        slope: Of the line.
        intercept: Of the line.
        before: Root mean squared error of the answers as they are.
        after: That of the line.
    """

    slope: float
    intercept: float
    before: float
    after: float

    def __str__(self) -> str:
        return f"label = {self.slope:.3g} * answer {'-' if self.intercept < 0 else '+'} {abs(self.intercept):.3g}"


def fit_scale(logits: np.ndarray, labels: np.ndarray) -> Line | None:
    """Fits a line through a regression teacher's answers.

    Args:
        logits: (rows, 1) of validation.
        labels: (rows,) numbers.

    Returns:
        The line; None where the answers are on the labels' scale, or do not vary.
    """
    answers = logits.reshape(-1).astype(np.float64)
    if len(answers) < _LEAST_ROWS or not np.isfinite(answers).all() or np.ptp(answers) == 0 or np.ptp(labels) == 0:
        return None
    slope, intercept = np.polyfit(answers, labels, 1)
    before = np.mean((answers - labels) ** 2)
    after = np.mean((slope * answers + intercept - labels) ** 2)
    chance = _LEAST_F * 2 * after / (len(answers) - 2)
    if before - after <= max(_LEAST_GAIN * np.var(labels), chance):
        return None
    return Line(float(slope), float(intercept), float(before**0.5), float(after**0.5))


def _count(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that have a label (first axis) and an answer (second), that have each label, and that have each answer."""
    width = logits.shape[1]
    found = decisions(logits, multi_label=labels.ndim == 2)
    if labels.ndim == 2:
        counts = labels.T.astype(np.float64) @ found
        return counts, labels.sum(axis=0, dtype=np.float64), found.sum(axis=0, dtype=np.float64)
    counts = np.bincount(labels * width + found, minlength=width**2).reshape(width, width).astype(np.float64)
    return counts, counts.sum(axis=1), counts.sum(axis=0)
