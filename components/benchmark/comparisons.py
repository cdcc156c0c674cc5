"""Compares candidates: criteria, ratios of speed, and from the logits intervals and paired differences."""

from collections.abc import Callable, Mapping

import numpy as np

from compaware.components.benchmark.results import Benchmark, Differences, Measured, SplitScore
from compaware.components.core.data.dataset import TEST
from compaware.components.core.evaluation.criterion import Criterion
from compaware.components.core.evaluation.intervals import Difference, Interval, paired_difference, score_interval
from compaware.components.core.evaluation.metrics import REGRESSION_METRICS, compute_metrics, decisions

# Predictions of numbers that differ by less than this part of their range count as the same.
_SAME_NUMBER = 1e-4
LoadLogits = Callable[[Measured, str], np.ndarray]


def fill_criteria(benchmark: Benchmark, own: Mapping[str, Criterion]) -> None:
    """Sets each candidate's criterion: its own, or else the usual one, against the dense FP32 model.

    If that model was not measured, a candidate's own criterion keeps its baseline. It then looks at the measured
    loss, since there are no logits to compute an interval of the difference from.

    Args:
        benchmark: All candidates, measured.
        own: Criteria that candidates were made with, by name of the candidate.
    """
    dense = benchmark.dense()
    for item in benchmark.candidates:
        criterion = own.get(item.name)
        if criterion and criterion.metric_name != item.metric_name:
            criterion = None  # It belongs to other data.
        if dense:
            reference = dense[0].metric
            usual = Criterion.usual(item.metric_name, reference)
            benchmark.criteria[item.name] = criterion.with_baseline(reference) if criterion else usual
        elif criterion:
            benchmark.criteria[item.name] = criterion.with_baseline(criterion.baseline).on_point()


def fill_ratios(benchmark: Benchmark) -> None:
    """Sets each batch's ratios and their spread, once the criteria are set."""
    teacher, student = benchmark.reference("teacher"), benchmark.reference("student")
    for size in benchmark.batch_sizes:
        references = {
            "ratio_to_teacher": teacher,
            "ratio_to_best_teacher": benchmark.best_teacher(size),
            "ratio_to_fp32_student": student,
        }
        batches = [candidate.batches[size] for candidate in benchmark.candidates]
        for field, reference in references.items():
            if reference is None:
                continue
            for batch in batches:
                speed = batch.speed_over(reference.batches[size])
                setattr(batch, field, speed.median)
                batch.spread[field] = speed.spread


def fill_comparisons(benchmark: Benchmark, labels: Mapping[str, np.ndarray], load: LoadLogits) -> None:
    """Sets each candidate's interval, its score on test, and its differences from the references.

    Args:
        benchmark: All candidates, measured, with criteria.
        labels: Labels of the split that decides, which comes first, and of `test` where it is another split.
        load: Returns the logits of a candidate for a split.
    """
    metric, references = benchmark.candidates[0].metric_name, benchmark.references()
    split, *others = labels
    validation = Comparisons(metric, labels[split])
    test = Comparisons(metric, labels[TEST]) if TEST in others else None
    for item in benchmark.candidates:
        item.interval = validation.interval(load(item, split))
        item.test = test.score(load(item, TEST)) if test else None
        item.differences = {
            reference.id: Differences(
                validation=validation.difference(load(item, split), load(reference, split)),
                test=test.difference(load(item, TEST), load(reference, TEST)) if test else None,
            )
            for reference in references
            if reference is not item
        }


class Comparisons:
    """Compares candidates on one split; an interval is computed once for all logits that predict the same.

    Args:
        metric: The task's primary metric.
        labels: Labels of the split.
    """

    def __init__(self, metric: str, labels: np.ndarray):
        self._metric = metric
        self._labels = labels
        self._predictions: list[np.ndarray] = []
        self._intervals: dict[int, Interval] = {}
        self._differences: dict[tuple[int, int], Difference] = {}

    def interval(self, logits: np.ndarray) -> Interval:
        """Returns the metric with its interval."""
        key = self._number(logits)
        if key not in self._intervals:
            self._intervals[key] = score_interval(self._metric, logits, self._labels)
        return self._intervals[key].model_copy(update={"value": self._value(logits)})

    def score(self, logits: np.ndarray) -> SplitScore:
        """Returns the metric with its interval and the number of rows."""
        interval = self.interval(logits)
        return SplitScore(rows=len(self._labels), metric=interval.value, interval=interval)

    def difference(self, logits: np.ndarray, reference: np.ndarray) -> Difference:
        """Returns the paired difference of the metric; it is exactly 0 for equal logits."""
        if np.array_equal(logits, reference):
            return Difference(value=0.0, low=0.0, high=0.0, rows=len(self._labels))
        key = self._number(logits), self._number(reference)
        if key not in self._differences:
            self._differences[key] = paired_difference(self._metric, logits, reference, self._labels)
        return self._differences[key]

    def _value(self, logits: np.ndarray) -> float:
        return compute_metrics(self._metric, logits, self._labels)[self._metric]

    def _number(self, logits: np.ndarray) -> int:
        """Returns the same number for logits that predict the same."""
        if self._metric in REGRESSION_METRICS:
            predicted, slack = logits, _SAME_NUMBER * float(np.ptp(logits))
        else:
            predicted, slack = decisions(logits, multi_label=self._labels.ndim == 2), 0.0
        for number, known in enumerate(self._predictions):
            if np.allclose(known, predicted, rtol=0.0, atol=slack):
                return number
        self._predictions.append(predicted)
        return len(self._predictions) - 1
