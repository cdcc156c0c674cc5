"""Scores of parts of the rows: by length, and by columns that the user names."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_rel

from compaware.components.benchmark.quality.calibration import mean_interval
from compaware.components.benchmark.quality.probabilities import share_interval_inputs
from compaware.components.benchmark.quality.results import Slice
from compaware.components.core.evaluation.intervals import Difference, paired_difference, score_interval
from compaware.components.core.evaluation.metrics import REGRESSION_METRICS, compute_metrics, decisions

LENGTH = "length"
_MOST_VALUES = 10


@dataclass(frozen=True)
class Part:
    """Some rows, and what they have in common: a column and its value."""

    column: str
    value: str
    rows: np.ndarray


def by_length(lengths: np.ndarray) -> Iterator[Part]:
    """Divides the rows by quartile of their length; rows of the same length stay together."""
    edges = np.unique(np.quantile(lengths, (0.25, 0.5, 0.75), method="lower"))
    bins = np.searchsorted(edges, lengths)
    for number in np.unique(bins):
        rows = np.flatnonzero(bins == number)
        shortest, longest = lengths[rows].min(), lengths[rows].max()
        numbers = f"{shortest}" if shortest == longest else f"{shortest}–{longest}"
        yield Part(LENGTH, f"{numbers} token{'' if numbers == '1' else 's'}", rows)


def by_value(column: str, values: Sequence[str]) -> Iterator[Part]:
    """Divides the rows by the most frequent values of a column, the most frequent first, and all others together."""
    array = np.array(values, dtype=object)
    counts = Counter(values).most_common()
    for value, _ in counts[:_MOST_VALUES]:
        yield Part(column, value or "(empty)", np.flatnonzero(array == value))
    others = {value for value, _ in counts[_MOST_VALUES:]}
    if others:
        rows = np.flatnonzero([value in others for value in values])
        yield Part(column, f"{len(others)} other value{'s' if len(others) > 1 else ''}", rows)


def score_part(
    part: Part, metric: str, logits: np.ndarray, labels: np.ndarray, reference: np.ndarray | None = None
) -> Slice:
    """Scores some rows.

    Args:
        part: The rows.
        metric: The primary metric; for regression the mean absolute error is used instead, which few rows can have.
        logits: Logits of the model to serve, of all rows.
        labels: Labels of all rows.
        reference: Logits of the dense FP32 model, to compare with; None for no comparison.
    """
    score = _error if metric in REGRESSION_METRICS else _metric
    own, truth = logits[part.rows], labels[part.rows]
    compared = None if reference is None else reference[part.rows]
    return score(part, metric, own, truth, compared)


def _metric(part: Part, metric: str, logits: np.ndarray, labels: np.ndarray, reference: np.ndarray | None) -> Slice:
    score = score_interval(metric, logits, labels)
    made = Slice(column=part.column, value=part.value, rows=len(labels), score=score)
    if reference is not None and not math.isnan(score.value):
        made.reference = compute_metrics(metric, reference, labels)[metric]
        made.difference = paired_difference(metric, logits, reference, labels)
        own, compared = (share_interval_inputs(_right(each, labels)) for each in (logits, reference))
        made.p_value = paired_difference("accuracy", own[0], compared[0], own[1]).p_value
    return made


def _right(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns which rows are decided right, for multi-label data in every label."""
    same: np.ndarray = decisions(logits, multi_label=labels.ndim == 2) == labels
    return np.all(same.reshape(len(labels), -1), axis=1)


def _error(part: Part, metric: str, logits: np.ndarray, labels: np.ndarray, reference: np.ndarray | None) -> Slice:
    errors = np.abs(logits.reshape(len(labels)) - labels)
    made = Slice(column=part.column, value=part.value, rows=len(labels), score=mean_interval(errors))
    if reference is not None:
        compared = np.abs(reference.reshape(len(labels)) - labels)
        made.reference = float(compared.mean())
        made.difference = Difference(**mean_interval(errors - compared).model_dump(), rows=len(labels))
        made.p_value = float(ttest_rel(errors, compared).pvalue)
    return made
