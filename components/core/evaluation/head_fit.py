"""Tests whether a model's predictions fit the labels better in another order of its outputs or on another scale."""

from dataclasses import dataclass

import numpy as np

from compaware.components.core.evaluation.metrics import decisions

# Another order fits better if, among the rows of the labels that move, most predictions are right in it, at least
# _MIN_RATIO times as many as in the present order, and the difference exceeds _MIN_DEVIATIONS standard deviations of
# chance (McNemar's test).
_MIN_RATIO = 2
_MIN_DEVIATIONS = 3.0
# Another scale fits better if a line reduces the mean squared error by this share of the labels' variance,
_MIN_GAIN = 0.1
# and by more than chance in few rows (the F test of a line's two parameters).
_MIN_F = 10.0
_MIN_ROWS = 5


def fit_order(logits: np.ndarray, labels: np.ndarray) -> list[int] | None:
    """Finds an order of the outputs in which a model's predictions are far better than in the present one.

    Args:
        logits: (rows, labels) of validation.
        labels: (rows,) class indices, or (rows, labels) of 0 and 1.

    Returns:
        The index of the output for each label, a permutation; None if the present order fits.
    """
    from scipy.optimize import linear_sum_assignment

    counts, in_data, predicted = _count(logits, labels)
    f1 = 2 * counts / np.maximum(in_data[:, None] + predicted[None, :], 1)
    order = linear_sum_assignment(f1, maximize=True)[1]
    moved = np.flatnonzero(order != np.arange(len(order)))
    before, after = counts[moved, moved].sum(), counts[moved, order[moved]].sum()
    is_better = after > in_data[moved].sum() / 2 and after >= _MIN_RATIO * before
    is_certain = after - before > _MIN_DEVIATIONS * np.sqrt(after + before)
    return order.tolist() if len(moved) and is_better and is_certain else None


@dataclass(frozen=True)
class Line:
    """A line from a teacher's outputs to the labels: label = slope * output + intercept.

    Attributes:
        slope: Slope of the line.
        intercept: Intercept of the line.
        before: Root mean squared error of the outputs.
        after: Root mean squared error of the line.
    """

    slope: float
    intercept: float
    before: float
    after: float

    def __str__(self) -> str:
        return f"label = {self.slope:.3g} * output {'-' if self.intercept < 0 else '+'} {abs(self.intercept):.3g}"


def fit_scale(logits: np.ndarray, labels: np.ndarray) -> Line | None:
    """Fits a line from a regression teacher's outputs to the labels.

    Args:
        logits: (rows, 1) of validation.
        labels: (rows,) numbers.

    Returns:
        The line; None if the outputs are on the labels' scale, or do not vary.
    """
    outputs = logits.reshape(-1).astype(np.float64)
    if len(outputs) < _MIN_ROWS or not np.isfinite(outputs).all() or np.ptp(outputs) == 0 or np.ptp(labels) == 0:
        return None
    slope, intercept = np.polyfit(outputs, labels, 1)
    before = np.mean((outputs - labels) ** 2)
    after = np.mean((slope * outputs + intercept - labels) ** 2)
    chance = _MIN_F * 2 * after / (len(outputs) - 2)
    if before - after <= max(_MIN_GAIN * np.var(labels), chance):
        return None
    return Line(float(slope), float(intercept), float(before**0.5), float(after**0.5))


def _count(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts rows by label (first axis) and prediction (second), by label, and by prediction."""
    width = logits.shape[1]
    predicted = decisions(logits, multi_label=labels.ndim == 2)
    if labels.ndim == 2:
        counts = labels.T.astype(np.float64) @ predicted
        return counts, labels.sum(axis=0, dtype=np.float64), predicted.sum(axis=0, dtype=np.float64)
    counts = np.bincount(labels * width + predicted, minlength=width**2).reshape(width, width).astype(np.float64)
    return counts, counts.sum(axis=1), counts.sum(axis=0)
