"""Another order or scale of a head is found if it is certain, and never for a weak teacher."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.evaluation.head_fit import fit_order, fit_scale


def _answers(labels: np.ndarray, accuracy: float, classes: int, seed: int) -> np.ndarray:
    """Logits that are right in this share of the rows, and of any other class in the rest."""
    generator = np.random.default_rng(seed)
    others = (labels + generator.integers(1, classes, len(labels))) % classes
    return np.eye(classes)[np.where(generator.random(len(labels)) < accuracy, labels, others)]


@settings(deadline=None)
@given(st.permutations(range(4)), st.integers(0, 1000))
def test_any_order_of_a_good_teacher_is_found(order: list[int], seed: int) -> None:
    labels = np.arange(80) % 4
    logits = _answers(labels, 0.9, 4, seed)[:, order]
    found = fit_order(logits, labels)
    assert (found or [0, 1, 2, 3]) == np.argsort(order).tolist()


def test_two_of_many_classes_that_changed_places_are_found_though_the_teacher_scores_well() -> None:
    labels = np.arange(200) % 10
    logits = _answers(labels, 0.95, 10, 0)[:, [0, 1, 2, 4, 3, 5, 6, 7, 8, 9]]
    assert fit_order(logits, labels) == [0, 1, 2, 4, 3, 5, 6, 7, 8, 9]


@settings(deadline=None)
@given(st.integers(2, 6), st.floats(0, 1), st.integers(0, 1000))
def test_the_labels_of_a_weak_teacher_are_not_reordered(classes: int, share: float, seed: int) -> None:
    labels = np.arange(120) % classes
    accuracy = 1 / classes + share * (1 - 1 / classes)
    assert fit_order(_answers(labels, accuracy, classes, seed), labels) is None


def test_few_rows_are_not_enough_for_another_order() -> None:
    labels = np.array([0] * 50 + [1] * 3 + [2] * 3)
    assert fit_order(np.eye(3)[[0] * 50 + [2] * 3 + [1] * 3], labels) is None


def test_another_order_of_multi_label_outputs_is_found() -> None:
    labels = (np.random.default_rng(0).random((60, 3)) < 0.4).astype(np.int8)
    assert fit_order(labels[:, [2, 0, 1]] - 0.5, labels) == [1, 2, 0]
    assert fit_order(labels - 0.5, labels) is None


@pytest.mark.parametrize(("slope", "intercept"), [(5.0, 0.0), (-4.0, 5.0), (1.0, 2.0), (0.4, 2.5)])
def test_another_scale_is_found_only_if_it_differs_from_the_labels(slope: float, intercept: float) -> None:
    generator = np.random.default_rng(0)
    labels = generator.uniform(0, 5, 100)
    answers = (labels + generator.normal(0, 0.1, 100))[:, None]
    line = fit_scale((answers - intercept) / slope, labels)
    assert line is not None and line.after < 0.15 < line.before
    assert (line.slope, line.intercept) == pytest.approx((slope, intercept), rel=0.1, abs=0.1)
    assert fit_scale(answers, labels) is None
    assert fit_scale(np.ones((100, 1)), labels) is None


def test_a_clear_difference_of_scale_is_found_in_few_rows() -> None:
    labels = np.arange(6.0)
    line = fit_scale(labels[:, None] / 5 + [[0.01], [0], [0], [0], [0], [0]], labels)
    assert line is not None and line.slope == pytest.approx(5, rel=0.05)
    assert fit_scale(np.array([[0.4], [0.2], [0.7], [0.1], [0.9], [0.3]]), labels) is None
