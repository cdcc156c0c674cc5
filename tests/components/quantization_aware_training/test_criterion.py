"""The accuracy criterion, absolute and relative."""

import pytest

from compaware.components.quantization_aware_training.criterion import Criterion


def test_an_absolute_loss_counts_the_same_whatever_the_baseline() -> None:
    criterion = Criterion.create("accuracy", 0.9, absolute=0.01, relative=None)
    assert criterion.passes(0.9 - 0.01) and criterion.passes(0.95)
    assert not criterion.passes(0.889)


def test_a_relative_loss_is_a_part_of_the_baseline() -> None:
    criterion = Criterion.create("accuracy", 0.5, absolute=0.2, relative=0.02)
    assert criterion.allowed_loss == pytest.approx(0.01)
    assert criterion.passes(0.491)
    assert not criterion.passes(0.489)


def test_a_baseline_below_zero_may_get_worse_by_its_part() -> None:
    criterion = Criterion.create("matthews_correlation", -0.1, absolute=0.0, relative=0.1)
    assert criterion.passes(-0.105)
    assert not criterion.passes(-0.12)
