"""Metrics of weighted rows, from which `intervals` computes what resampled rows would score.

To add a metric, add a function to `_WEIGHTED_METRICS`. It gets the weight of every row in every resample, shape
(resamples, rows), with the rows' predictions and labels, and returns one score for each resample. With weights of 1 it
returns what `metrics.compute_metrics` returns.
"""

from collections.abc import Callable

import numpy as np


def score_weighted(metric: str, weights: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Computes a metric for each set of row weights.

    Args:
        metric: One of `metrics.METRIC_NAMES`.
        weights: (resamples, rows), how often each row counts.
        predicted: (rows,) classes or numbers, or (rows, labels) of 0 and 1.
        labels: True labels or targets, in the same shape.

    Returns:
        Scores, (resamples,).
    """
    return _WEIGHTED_METRICS[metric](weights, predicted, labels)


def _accuracy(weights: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return weights @ (predicted == labels).astype(weights.dtype) / weights.sum(axis=1)


def _f1(weights: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return _fraction(*_f1_parts(weights, predicted == 1, labels == 1))


def _f1_micro(weights: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    found, given_and_true = (predicted * labels).sum(axis=1), (predicted + labels).sum(axis=1)
    return _fraction(2 * (weights @ found), weights @ given_and_true)


def _f1_macro(weights: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2:
        return _fraction(*_f1_parts(weights, predicted, labels)).mean(axis=1)
    classes = np.union1d(predicted, labels)
    twice_found, given_and_true = _f1_parts(weights, predicted[:, None] == classes, labels[:, None] == classes)
    # As in scikit-learn, the mean is over the classes that occur.
    return _fraction(_fraction(twice_found, given_and_true).sum(axis=1), (given_and_true > 0).sum(axis=1))


def _matthews_correlation(weights: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    classes = np.union1d(predicted, labels)
    given = weights @ (predicted[:, None] == classes).astype(weights.dtype)
    true = weights @ (labels[:, None] == classes).astype(weights.dtype)
    right = weights @ (predicted == labels).astype(weights.dtype)
    total = weights.sum(axis=1)
    spread = (total**2 - (given**2).sum(axis=1)) * (total**2 - (true**2).sum(axis=1))
    return _fraction(right * total - (given * true).sum(axis=1), np.sqrt(spread))


def _pearson(weights: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Takes rows, or blocks of rows with one weight each: then the other two are (blocks, rows)."""
    first, second = predicted - predicted.mean(), labels - labels.mean()
    columns = np.stack([np.ones_like(first), first, second, first**2, second**2, first * second], axis=1)
    columns = columns if columns.ndim == 2 else columns.sum(axis=2)
    total, *sums = (weights @ columns).T
    mean_1, mean_2, square_1, square_2, product = (column / total for column in sums)
    variance_1, variance_2 = square_1 - mean_1**2, square_2 - mean_2**2
    # A resample of one row that is repeated has no spread, but for rounding.
    constant = (variance_1 <= 1e-12 * (first**2).mean()) | (variance_2 <= 1e-12 * (second**2).mean())
    spread = np.sqrt(np.maximum(variance_1 * variance_2, 0))
    return np.where(constant, 0.0, _fraction(product - mean_1 * mean_2, spread))


def _spearman(weights: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=1)
    first, second = _centred_ranks(weights, predicted), _centred_ranks(weights, labels)
    product, square_1, square_2 = (
        np.einsum("ij,ij,ij->i", weights, one, other)
        for one, other in ((first, second), (first, first), (second, second))
    )
    return np.where(total > 1, _fraction(product, np.sqrt(square_1 * square_2)), 0.0)


def _centred_ranks(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns ranks minus their mean, (resamples, rows), of values that occur as often as the weights say."""
    unique, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(unique)))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = counts.cumsum(axis=1) - counts / 2 - weights.sum(axis=1, keepdims=True) / 2
    return ranks[:, group]


def _f1_parts(weights: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns numerator and denominator of F1: twice the labels found, and the labels given plus the true labels."""
    predicted, labels = predicted.astype(weights.dtype), labels.astype(weights.dtype)
    return 2 * (weights @ (predicted * labels)), weights @ (predicted + labels)


def _fraction(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divides, with 0 for a division by zero."""
    return np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator > 0)


_WEIGHTED_METRICS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "f1_micro": _f1_micro,
    "f1_macro": _f1_macro,
    "matthews_correlation": _matthews_correlation,
    "pearson": _pearson,
    "spearman": _spearman,
}
