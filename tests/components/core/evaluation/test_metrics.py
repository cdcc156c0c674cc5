"""Metrics on small cases with known values."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.core.evaluation.criterion import Criterion
from compaware.components.core.evaluation.intervals import Interval, paired_difference, score_interval
from compaware.components.core.evaluation.metrics import (
    compute_metrics,
    f1_by_label,
    majority_baseline,
    require_defined,
    why_undefined,
)


def one_hot(classes: list[int], width: int = 2) -> np.ndarray:
    return np.eye(width)[classes]


def test_the_primary_metric_comes_first_and_is_right() -> None:
    labels = np.array([0, 0, 1, 1])
    logits = one_hot([0, 1, 1, 1])
    assert compute_metrics("accuracy", logits, labels) == {"accuracy": 0.75}
    assert compute_metrics("f1", logits, labels) == {"f1": pytest.approx(0.8), "accuracy": 0.75}
    assert next(iter(compute_metrics("matthews_correlation", logits, labels))) == "matthews_correlation"
    assert compute_metrics("accuracy", one_hot([0, 1, 2], 3), np.array([0, 1, 2])) == {"accuracy": 1, "f1_macro": 1}


def test_correlations_of_regression() -> None:
    labels = np.array([0.0, 1.0, 2.0])
    assert compute_metrics("pearson", labels[:, None] * 2 + 1, labels) == {
        "pearson": pytest.approx(1),
        "spearman": pytest.approx(1),
        # Off by 1, 2 and 3.
        "rmse": pytest.approx((14 / 3) ** 0.5),
    }


def test_multi_label_metrics_take_a_label_where_its_logit_is_above_0() -> None:
    labels = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    logits = np.array([[2.0, -1.0, -1.0], [-1.0, 3.0, -1.0], [1.0, -2.0, 0.5], [-1.0, -1.0, -1.0]])
    # Found are 3 of 5 labels, and one that is not there.
    assert compute_metrics("f1_micro", logits, labels) == {
        "f1_micro": pytest.approx(2 * 3 / (5 + 4)),
        "f1_macro": pytest.approx((1 + 2 / 3 + 0) / 3),
        "subset_accuracy": 0.5,
    }
    assert next(iter(compute_metrics("f1_macro", logits, labels))) == "f1_macro"
    assert f1_by_label(logits, labels) == pytest.approx([1, 2 / 3, 0])


def test_the_best_constant_answer_to_multi_label_data_is_the_most_frequent_labels() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 0]])
    # The first label alone: 3 of 6 found, of 4 given. The first two: 5 of 6, of 8.
    assert majority_baseline("f1_micro", labels, 3) == pytest.approx(10 / 14)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_nan_logit_makes_every_metric_nan(broken: float) -> None:
    for metric, width, labels in (
        ("accuracy", 2, np.array([0, 1])),
        ("f1", 2, np.array([0, 1])),
        ("pearson", 1, np.array([0.0, 1.0])),
        ("f1_micro", 2, np.array([[0, 1], [1, 1]])),
    ):
        logits = np.ones((2, width), np.float32)
        logits[0, 0] = broken
        scores = compute_metrics(metric, logits, labels)
        assert next(iter(scores)) == metric and all(map(math.isnan, scores.values()))


UNDEFINED = [
    ("pearson", np.ones((3, 1)), np.arange(3.0), "the model predicts the same number for every row"),
    ("spearman", np.ones((3, 1)), np.arange(3.0), "the model predicts the same number for every row"),
    ("pearson", np.arange(3.0)[:, None], np.ones(3), "all rows have the same label"),
    ("spearman", np.arange(3.0)[:, None], np.ones(3), "all rows have the same label"),
    ("matthews_correlation", one_hot([0, 1, 1]), np.ones(3, int), "all rows have the same label"),
    ("f1", one_hot([0, 1, 0]), np.zeros(3, int), "no row is positive"),
    ("f1_micro", np.ones((3, 2)), np.zeros((3, 2), int), "no row is positive"),
    ("f1_macro", -np.ones((3, 2)), np.zeros((3, 2), int), "no row is positive"),
    ("accuracy", np.full((2, 2), np.nan), np.array([0, 1]), "the model has NaN or infinite logits"),
]


@pytest.mark.parametrize(("metric", "logits", "labels", "reason"), UNDEFINED)
def test_an_undefined_metric_is_nan_with_a_reason_and_passes_no_gate(
    metric: str, logits: np.ndarray, labels: np.ndarray, reason: str
) -> None:
    score = compute_metrics(metric, logits, labels)[metric]
    assert math.isnan(score) and why_undefined(metric, labels, logits) == reason
    difference = paired_difference(metric, logits, logits, labels)
    for gate_on in ("point", "interval"):
        criterion = Criterion.create(metric, score, absolute=2.0, gate_on=gate_on)
        assert not criterion.passes(score, difference) and not criterion.with_baseline(0.0).passes(score, difference)
    interval = score_interval(metric, logits, labels)
    assert Interval.model_validate_json(interval.model_dump_json()).model_dump_json() == (
        '{"value":null,"low":null,"high":null}'
    )


def test_training_is_not_steered_by_labels_that_cannot_judge() -> None:
    with pytest.raises(UserError, match="F1 is undefined on validation, since no row is positive: add rows"):
        require_defined("f1", np.zeros(3, int))
    for metric, labels in (("f1", np.array([0, 1])), ("f1_macro", np.zeros(3, int)), ("accuracy", np.zeros(3, int))):
        require_defined(metric, labels)


def test_figures_that_scikit_learn_defines_stay_as_they_are() -> None:
    never, labels = one_hot([0, 0, 0, 0]), np.array([0, 0, 1, 1])
    assert compute_metrics("f1", never, labels)["f1"] == 0
    assert compute_metrics("matthews_correlation", never, labels)["matthews_correlation"] == 0
    # The third class is absent, and the mean is over the other two.
    assert compute_metrics("f1_macro", one_hot([0, 0, 1, 1], 3), labels)["f1_macro"] == 1
    # A predicted class without rows has F1 0.
    assert compute_metrics("f1_macro", one_hot([0, 2, 1, 1], 3), labels)["f1_macro"] == pytest.approx((2 / 3 + 1) / 3)


def test_the_correlation_of_nearly_constant_numbers_is_a_number_or_undefined() -> None:
    logits = np.array([[1], [1 + 1.2e-7], [1]], np.float32)
    score = compute_metrics("spearman", logits, np.array([0.0, 1.0, 2.0]))["spearman"]
    assert math.isnan(score) or -1 <= score <= 1


@pytest.mark.parametrize(
    ("metric", "classes"), [("accuracy", 4), ("f1", 2), ("f1_macro", 2), ("f1_macro", 3), ("matthews_correlation", 2)]
)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_no_constant_answer_scores_more_than_the_baseline(metric: str, classes: int, data: st.DataObject) -> None:
    labels = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=2, max_size=40)))
    assume(not why_undefined(metric, labels))
    baseline = majority_baseline(metric, labels, classes)
    for number in range(classes):
        answers = one_hot([number] * len(labels), classes)
        assert compute_metrics(metric, answers, labels)[metric] <= baseline + 1e-9


@pytest.mark.parametrize("metric", ["f1_micro", "f1_macro", "subset_accuracy"])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_no_constant_set_of_labels_scores_more_than_the_baseline(metric: str, data: st.DataObject) -> None:
    row = st.tuples(*[st.integers(0, 1)] * 3)
    labels = np.array(data.draw(st.lists(row, min_size=2, max_size=20)))
    assume(not why_undefined(metric, labels))
    baseline = majority_baseline(metric, labels, 3)
    for signs in np.ndindex(2, 2, 2):
        answers = np.tile(np.array(signs) - 0.5, (len(labels), 1))
        assert compute_metrics(metric, answers, labels)[metric] <= baseline + 1e-9


def test_f1_is_measured_against_the_answer_that_is_always_positive() -> None:
    labels = np.array([0] * 63 + [1] * 37)
    assert majority_baseline("f1", labels, 2) == pytest.approx(2 * 0.37 / 1.37)


def test_majority_baseline() -> None:
    labels = np.array([1, 1, 1, 0])
    assert majority_baseline("accuracy", labels, 2) == 0.75
    assert majority_baseline("matthews_correlation", labels, 2) == 0.0
    assert majority_baseline("pearson", np.array([0.5, 1.0]), 1) == 0.0
