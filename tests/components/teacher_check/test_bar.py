"""A teacher without skill fails the check for any metric, balance of classes and number of rows."""

import numpy as np
import pytest

from compaware.components.core.evaluation.metrics import (
    majority_baseline,
    perfect_score,
    suitable_metrics,
    why_undefined,
)
from compaware.components.teacher_check.check import find_shortfall

# Every metric that own data may be judged by.
KINDS = [
    (kind, metric, classes)
    for kind, numbers in {"classification": (2, 3, 6), "multi_label_classification": (3,), "regression": (0,)}.items()
    for classes in numbers
    for metric in suitable_metrics(kind, classes)
]


def draw_labels(generator: np.random.Generator, kind: str, classes: int, rows: int) -> np.ndarray:
    """Labels in random balance, of two classes or more."""
    if kind == "multi_label_classification":
        return (generator.random((rows, classes)) < generator.random(classes)).astype(int)
    if not classes:
        return generator.normal(size=rows)
    labels = generator.choice(classes, rows, p=generator.dirichlet(np.ones(classes)))
    labels[:2] = 0, 1
    return labels


def as_logits(labels: np.ndarray, classes: int) -> np.ndarray:
    """Logits whose answers are these labels."""
    if labels.ndim == 2:
        return labels - 0.5
    return np.eye(classes)[labels] if classes else labels[:, None]


def passes(metric: str, classes: int, answers: np.ndarray, labels: np.ndarray) -> bool:
    majority = majority_baseline(metric, labels, classes)
    return not find_shortfall(metric, as_logits(answers, classes), labels, majority, None)


@pytest.mark.parametrize(("kind", "metric", "classes"), KINDS)
@pytest.mark.parametrize("rows", [60, 2500])
def test_constant_and_shuffled_predictions_fail_and_correct_ones_pass(
    kind: str, metric: str, classes: int, rows: int
) -> None:
    generator = np.random.default_rng(rows + classes)
    labels = draw_labels(generator, kind, classes, rows)
    assert perfect_score(metric, labels, classes) == pytest.approx(1)
    assert passes(metric, classes, labels, labels)
    assert not passes(metric, classes, generator.permutation(labels), labels)
    for answer in np.unique(labels[:50], axis=0)[:3]:
        assert not passes(metric, classes, np.broadcast_to(answer, labels.shape), labels)


def test_a_teacher_with_nan_logits_does_not_pass() -> None:
    logits = np.full((10, 2), np.nan)
    assert "NaN or infinite" in find_shortfall("accuracy", logits, np.arange(10) % 2, 0.5, None)


def test_few_rows_need_a_higher_score_and_the_message_says_so() -> None:
    labels = np.arange(40) % 2
    answers = labels.copy()
    answers[:16] = 1 - answers[:16]
    line = find_shortfall("accuracy", as_logits(answers, 2), labels, 0.5, None)
    assert line.startswith("the teacher reaches accuracy 0.6000, 0.") and "in random order" in line and "40" in line


def test_on_very_few_rows_only_a_perfect_teacher_passes() -> None:
    labels = np.arange(4.0)
    assert not find_shortfall("pearson", labels[:, None] + [[0.01], [0], [0], [0]], labels, 0.0, None)
    line = find_shortfall("pearson", np.sin(labels)[:, None] + labels[:, None], labels, 0.0, None)
    assert line.endswith("0.9990 is needed (4 validation rows are too few to tell it from chance)")


def test_a_good_teacher_passes_on_few_rows_and_any_teacher_above_min_score(
    caplog: pytest.LogCaptureFixture,
) -> None:
    labels = np.arange(20) % 2
    good, poor = labels.copy(), labels.copy()
    good[:2] = 1 - good[:2]
    poor[:10] = 1 - poor[:10]
    assert passes("accuracy", 2, good, labels)
    assert not passes("accuracy", 2, poor, labels)
    assert not find_shortfall("accuracy", as_logits(poor, 2), labels, 0.5, 0.4)
    assert "which min_score allows, but" in caplog.text
    assert "0.6000 is needed (min_score)" in find_shortfall("accuracy", as_logits(poor, 2), labels, 0.5, 0.6)


@pytest.mark.parametrize(
    ("metric", "labels"),
    [
        ("accuracy", np.zeros(9, int)),
        ("matthews_correlation", np.ones(9, int)),
        ("f1", np.zeros(9, int)),
        ("f1_macro", np.ones(9, int)),
        ("f1_micro", np.zeros((9, 2), int)),
        ("spearman", np.full(9, 2.5)),
    ],
)
def test_rows_on_which_no_model_can_be_better_are_known(metric: str, labels: np.ndarray) -> None:
    assert why_undefined(metric, labels) or majority_baseline(metric, labels, 2) >= perfect_score(metric, labels, 2)
