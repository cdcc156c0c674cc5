"""Confidence intervals of scores and of paired differences, by a bootstrap over rows, or for large tables a jackknife.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. A resample draws as many rows as there are.
All that a metric needs of a row is its label and its predictions, so rows that agree in these are drawn together: a
table of a few cells in place of 100,000 rows.

A classifier that was right on every row may still be wrong on the next, and two that agreed on every row may differ.
The resamples would not show this. Hence the rows are completed by two that are made up: for a score, one that is right
and one that is wrong (Agresti and Coull, 1998); for a difference, one that only the one model decides right and one
that only the other does (Bonett and Price, 2012).

SciPy is imported in the functions, as in `metrics`.
"""

import math
from collections.abc import Iterator

import numpy as np
from pydantic import BaseModel, ConfigDict

from compaware.components.core.base.summary import Score
from compaware.components.core.evaluation.metrics import (
    CORRELATIONS,
    REGRESSION_METRICS,
    compute_metrics,
    decisions,
    in_points,
)
from compaware.components.core.evaluation.row_weights import score_weighted

_TAIL = 0.025
_RESAMPLES = 10_000
# Any three points may lie on a line.
_FEWEST_ROWS = 4
_NO_WIDTH = 1e-9
# Above this number of cells, independent Poisson counts replace the multinomial draw, which takes 0.1 µs per cell.
_LARGE_TABLE = 2_000
_WEIGHTS_AT_ONCE = 2**20
# In a larger split, Pearson's correlation is resampled by blocks of rows.
_LARGE_SPLIT_ROWS = 5_000
_BLOCKS = 2_000
# Resamples of a table of more cells would take minutes. Its rows suffice for a jackknife by groups of rows (Efron and
# Tibshirani, chapter 11).
_JACKKNIFE_CELLS = 5_000
_GROUPS = 500


class Interval(BaseModel):
    """A score with its 95 % confidence interval.

    Attributes:
        value: The score; NaN if it is undefined, see `metrics.why_undefined`.
        low: Lower end.
        high: Upper end.
    """

    model_config = ConfigDict(frozen=True)

    value: Score
    low: Score
    high: Score


class Difference(Interval):
    """A difference of two models' scores on the same rows, candidate minus reference, with its 95 % interval.

    Attributes:
        value: The difference in units of the metric; NaN if either score is.
        rows: Number of rows.
        p_value: McNemar's exact test of equal accuracy; None for other metrics.
    """

    rows: int
    p_value: float | None = None


def score_interval(metric: str, logits: np.ndarray, labels: np.ndarray, seed: int = 0) -> Interval:
    """Computes a score and its interval.

    Args:
        metric: One of `metrics.METRIC_NAMES`.
        logits: As `metrics.compute_metrics` takes them.
        labels: As `metrics.compute_metrics` takes them.
        seed: Seed of the resamples.
    """
    value = compute_metrics(metric, logits, labels)[metric]
    if math.isnan(value):
        return Interval(value=value, low=value, high=value)
    low, high = _ends(metric, value, [_predictions(metric, logits, labels)], labels, seed)
    return Interval(value=value, low=low, high=high)


def paired_difference(
    metric: str, logits: np.ndarray, reference_logits: np.ndarray, labels: np.ndarray, seed: int = 0
) -> Difference:
    """Computes the difference of two models' scores and its interval; each resample draws the same rows for both.

    Args:
        metric: One of `metrics.METRIC_NAMES`.
        logits: Logits of the candidate, as `metrics.compute_metrics` takes them.
        reference_logits: Logits of the reference for the same rows.
        labels: As `metrics.compute_metrics` takes them.
        seed: Seed of the resamples.
    """
    value = compute_metrics(metric, logits, labels)[metric] - compute_metrics(metric, reference_logits, labels)[metric]
    if math.isnan(value):
        return Difference(value=value, low=value, high=value, rows=len(labels))
    pair = [_predictions(metric, each, labels) for each in (logits, reference_logits)]
    low, high = _ends(metric, value, pair, labels, seed)
    p_value = _mcnemar(*(predicted == labels for predicted in pair)) if metric == "accuracy" else None
    return Difference(value=value, low=low, high=high, rows=len(labels), p_value=p_value)


def describe_difference(difference: Difference, metric: str) -> str:
    """Describes a difference of a metric: `between 0.1 and 0.9 points worse`, of a correlation `between 0.001 and …`.

    If the interval contains 0, no loss is measurable, and the interval follows, since few rows measure little.
    """
    between = describe_interval(difference, metric)
    return f"no measurable loss ({between})" if difference.low <= 0 <= difference.high else between


def describe_interval(difference: Difference, metric: str) -> str:
    """Describes a difference's interval: `between 0.5 points worse and 0.3 better`."""
    if math.isnan(difference.value):
        return "not comparable, since a score is not a number"
    low, high = 100 * difference.low, 100 * difference.high
    digits, points = _digits(low, high), " points"
    if not in_points(metric):
        low, high, digits, points = difference.low, difference.high, digits + 2, ""
    if low > 0:
        return f"between {low:.{digits}f} and {high:.{digits}f}{points} better"
    if high < 0:
        return f"between {-high:.{digits}f} and {-low:.{digits}f}{points} worse"
    return f"between {abs(low):.{digits}f}{points} worse and {abs(high):.{digits}f} better"


def _digits(*points: float) -> int:
    """Returns how many decimals show each number that is not 0 as something else than 0; at most 3."""
    smallest = min((abs(value) for value in points if value), default=1.0)
    return next((digits for digits in (1, 2) if round(smallest, digits)), 3)


def _predictions(metric: str, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    if metric in REGRESSION_METRICS:
        return logits.reshape(len(labels)).astype(np.float64)
    return decisions(logits, multi_label=labels.ndim == 2).astype(np.int64)


def _ends(
    metric: str, value: float, predictions: list[np.ndarray], labels: np.ndarray, seed: int
) -> tuple[float, float]:
    """Returns the ends of the interval of a score (one model's predictions) or of a difference (two models')."""
    least = -1.0 if metric in CORRELATIONS else 0.0
    least, most = (least, 1.0) if len(predictions) == 1 else (least - 1.0, 1.0 - least)
    if metric in REGRESSION_METRICS:
        if len(labels) < _FEWEST_ROWS:
            return least, most
        columns, counts = _correlation_table(metric, [labels, *predictions], seed)
    else:
        columns, counts = _decision_table([labels.astype(np.int64), *predictions])

    def score(weights: np.ndarray) -> np.ndarray:
        scores = [score_weighted(metric, weights, predicted, columns[0]) for predicted in columns[1:]]
        return scores[0] - scores[1] if len(scores) == 2 else scores[0]

    tail = max(1 / _RESAMPLES, _expanded_tail(_fewest_rows_of_a_class(metric, labels)))
    if len(counts) > _JACKKNIFE_CELLS:
        margin = _jackknife_margin(np.concatenate([score(weights) for weights in _without_a_group(counts, seed)]), tail)
        low, high = value - margin, value + margin
    else:
        resampled = np.concatenate([score(weights) for weights in _draw(counts, seed)])
        if metric in REGRESSION_METRICS:
            resampled += value - score(counts[None])  # What left-over rows change is the same in all.
        low, high = np.quantile(resampled, [tail, 1 - tail]).tolist()
    if high - low < _NO_WIDTH:
        margin = _unseen_fraction(len(labels))  # All rows are in perfect order.
        low, high = value - margin, value + margin
    return max(least, min(low, value)), min(most, max(high, value))


def _expanded_tail(rows: int) -> float:
    """Returns the part of the resamples that is beyond each end: less than 2.5 % if there are few rows.

    Percentiles of few rows are too close together, as a normal quantile is in place of Student's. See Hesterberg, What
    Teachers Should Know About the Bootstrap (2015), section 5.3 on expanded percentiles.
    """
    from scipy.special import ndtr, stdtrit

    degrees = max(1, rows - 1)
    return float(ndtr(stdtrit(degrees, _TAIL) * math.sqrt((degrees + 1) / degrees)))


def _fewest_rows_of_a_class(metric: str, labels: np.ndarray) -> int:
    """Returns the number of rows that the metric's least certain part is computed from."""
    if metric not in ("f1", "f1_macro", "matthews_correlation"):
        return len(labels)
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.unique(labels, return_counts=True)[1]
    return int(counts[counts > 0].min(initial=len(labels)))


def _unseen_fraction(rows: int) -> float:
    """Returns how large a part of the rows may be of a kind that is not among these: the exact bound for 0 of them."""
    return 1 - _TAIL ** (1 / rows)


def _draw(counts: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Draws resamples of a table: (resamples, cells) of a part of them at a time."""
    generator = np.random.default_rng(seed)
    rows = round(counts.sum())
    part = max(1, _WEIGHTS_AT_ONCE // len(counts))
    for start in range(0, _RESAMPLES, part):
        size = min(part, _RESAMPLES - start)
        if len(counts) <= _LARGE_TABLE:
            yield generator.multinomial(rows, counts / counts.sum(), size).astype(np.float64)
        else:
            yield generator.poisson(counts, (size, len(counts))).astype(np.float64)


def _jackknife_margin(scores: np.ndarray, tail: float) -> float:
    """Returns half the width of an interval from the scores without each group of rows."""
    from scipy.special import ndtri

    return -float(ndtri(tail)) * math.sqrt((len(scores) - 1) * scores.var())


def _without_a_group(counts: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Puts the rows of a table in random groups and leaves out each in turn: (groups, cells), a part at a time."""
    whole = np.diff(np.floor(np.cumsum(counts) + 1e-6), prepend=0.0).astype(int)
    rows = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(whole)), whole))
    groups = np.array_split(rows, _GROUPS)
    part = max(1, _WEIGHTS_AT_ONCE // len(whole))
    for start in range(0, _GROUPS, part):
        left_out = [np.bincount(group, minlength=len(whole)) for group in groups[start : start + part]]
        yield (whole - np.stack(left_out)).astype(np.float64)


def _decision_table(columns: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the different rows of labels and decisions, and two made-up rows, with how often each occurs."""
    labels, *decided = columns
    rows, counts = _unique_rows(columns)
    made_up, weights = _made_up_rows(labels, len(decided))
    return (
        [np.concatenate([real, added]) for real, added in zip(rows, made_up, strict=True)],
        np.concatenate([counts, weights]),
    )


def _made_up_rows(labels: np.ndarray, models: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns rows that weigh two rows together: one where the first model is right and one where it is wrong."""
    unique, counts = np.unique(labels, axis=0, return_counts=True)
    wrong = _wrong(unique)
    columns = [(unique, unique), (unique, wrong), (wrong, unique)]
    return [np.concatenate(column) for column in columns[: 1 + models]], np.tile(counts / counts.sum(), 2)


def _wrong(labels: np.ndarray) -> np.ndarray:
    """Returns a wrong decision for each of the labels (or sets of labels) that occur: another one that occurs."""
    if len(labels) > 1:
        return np.roll(labels, 1, axis=0)
    return labels + 1 if labels.ndim == 1 else 1 - labels


def _correlation_table(metric: str, columns: list[np.ndarray], seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the targets and predictions to draw from, (rows,) or (blocks, rows), with how often each occurs."""
    if len(columns[0]) <= _LARGE_SPLIT_ROWS or metric == "spearman":
        return _unique_rows(columns)
    return _random_blocks(columns, seed), np.ones(_BLOCKS)


def _random_blocks(columns: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """Divides rows at random into blocks that are drawn as one; less than a block is left over.

    A sum over a block varies as much as the sum over its rows, so intervals keep their width: within 2 %, the standard
    error of a standard deviation of `_BLOCKS` sums.
    """
    rows = len(columns[0]) // _BLOCKS * _BLOCKS
    order = np.random.default_rng(seed).permutation(len(columns[0]))[:rows]
    return [values[order].reshape(_BLOCKS, -1) for values in columns]


def _unique_rows(columns: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the different rows of some columns, (rows,) or (rows, labels) each, and how often each occurs."""
    rows = np.stack(columns, axis=1)
    unique, counts = np.unique(rows, axis=0, return_counts=True)
    return list(unique.swapaxes(0, 1)), counts.astype(np.float64)


def _mcnemar(right: np.ndarray, reference_right: np.ndarray) -> float:
    """McNemar's exact test: whether either model is right more often on the rows that only one decides right."""
    from scipy.stats import binomtest

    gained, lost = int((right & ~reference_right).sum()), int((~right & reference_right).sum())
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
