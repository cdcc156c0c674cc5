"""The accuracy criterion: absolute and relative, at its limit, below zero, with NaN, and through JSON."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compaware.components.core.evaluation import intervals
from compaware.components.core.evaluation.criterion import Criterion, CriterionResult, sort_key
from compaware.components.core.evaluation.intervals import Difference, paired_difference

CRITERIA = st.builds(
    lambda baseline, loss, kind: Criterion(metric_name="accuracy", baseline=baseline, kind=kind, asked_loss=loss),
    st.floats(-1, 1) | st.just(math.nan),
    st.floats(0, 0.99),
    st.sampled_from(["absolute", "relative"]),
)


def test_an_absolute_loss_counts_the_same_whatever_the_baseline() -> None:
    criterion = Criterion.create("accuracy", 0.9, absolute=0.01, relative=None)
    assert criterion.passes(0.9 - 0.01) and criterion.passes(0.95)
    assert not criterion.passes(0.889)


def test_a_relative_loss_is_a_part_of_the_baseline() -> None:
    criterion = Criterion.create("accuracy", 0.5, absolute=0.2, relative=0.02)
    assert criterion.allowed_loss == pytest.approx(0.01)
    assert criterion.passes(0.491)
    assert not criterion.passes(0.489)
    assert criterion.with_baseline(1.0).passes(0.98) and not criterion.with_baseline(1.0).passes(0.9799)


@pytest.mark.parametrize(("baseline", "good", "bad"), [(-0.1, -0.105, -0.12), (0.0, 0.0, -0.001)])
def test_a_baseline_of_zero_or_less_may_get_worse_by_its_part(baseline: float, good: float, bad: float) -> None:
    criterion = Criterion.create("matthews_correlation", baseline, absolute=0.0, relative=0.1)
    assert criterion.passes(good)
    assert not criterion.passes(bad)


@given(st.integers(1, 5000), st.data())
def test_a_score_on_the_border_passes_and_one_answer_less_does_not(rows: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, rows))
    lost = data.draw(st.integers(0, right))
    criterion = Criterion.create("accuracy", right / rows, absolute=lost / rows)
    assert criterion.passes((right - lost) / rows)
    assert not criterion.passes((right - lost - 1) / rows)


@given(CRITERIA)
def test_nan_never_passes_and_nothing_passes_against_it(criterion: Criterion) -> None:
    assert not criterion.passes(math.nan)
    assert not criterion.with_baseline(math.nan).passes(1.0)
    assert sort_key(math.nan) < sort_key(-1.0)


@given(CRITERIA, st.floats(-1, 1) | st.just(math.nan))
def test_a_criterion_survives_json(criterion: Criterion, score: float) -> None:
    judged = CriterionResult(**criterion.model_dump(), measured=score, runtime="openvino", runtime_reason="made up")
    text = judged.model_dump_json()
    assert "NaN" not in text
    loaded = CriterionResult.model_validate_json(text)
    assert loaded.model_dump_json() == text and loaded.passed == criterion.passes(score)


def test_the_description_names_the_base_of_a_percentage_and_never_hides_a_difference() -> None:
    relative = Criterion.create("matthews_correlation", 0.5, absolute=0.005, relative=0.02)
    assert relative.allowance() == "0.0100 (2 % of 0.5000)"
    assert relative.allowance(points=True) == "0.010 (2 % of 0.5000)"  # No points: it is a correlation.
    assert relative.describe(0.46) == (
        "matthews_correlation 0.4600 against 0.5000, a loss of 0.0400 where 0.0100 (2 % of 0.5000) is allowed"
    )
    absolute = Criterion.create("accuracy", 0.9, absolute=0.0005)
    assert absolute.allowance(points=True) == "0.05 points"
    assert "a loss of 0.00052 where 0.0005 is allowed" in absolute.describe(0.9 - 0.00052)
    assert "a gain of 0.0100 where a loss of 0.0005 is allowed" in absolute.describe(0.91)


def difference(value: float, margin: float, rows: int = 872) -> Difference:
    return Difference(value=value, low=value - margin, high=value + margin, rows=rows)


def test_on_the_interval_a_model_passes_only_if_the_largest_likely_loss_is_allowed() -> None:
    point = Criterion.create("accuracy", 0.9, absolute=0.01)
    interval = Criterion.create("accuracy", 0.9, absolute=0.01, gate_on="interval")
    unsure, sure, worse = difference(-0.005, 0.02), difference(-0.005, 0.005), difference(-0.02, 0.005)
    assert [point.passes(0.9 + item.value, item) for item in (unsure, sure, worse)] == [True, True, False]
    assert [interval.passes(0.9 + item.value, item) for item in (unsure, sure, worse)] == [False, True, False]
    # Without an interval nothing shows that the loss is small.
    assert not interval.passes(0.95) and not interval.passes(math.nan, difference(math.nan, 0.01))
    assert interval.with_baseline(0.8).gate_on == "interval"


def test_an_interval_that_is_too_wide_says_how_many_rows_would_decide() -> None:
    criterion = Criterion.create("accuracy", 0.9, absolute=0.01, gate_on="interval")
    unsure = difference(-0.005, 0.02)
    # A quarter of the width takes 16 times the rows, and twice as many if most samples are to decide.
    assert criterion.rows_to_decide(unsure) == pytest.approx(16 * 872 * 2.042, rel=0.001)
    assert criterion.describe(0.895, unsure) == (
        "accuracy 0.8950 against 0.9000, between 2.5 points worse and 1.5 better where 1.0 points are allowed; "
        "about 29,000 rows decide 8 times in 10"
    )
    assert criterion.rows_to_decide(difference(-0.005, 0.001)) is None
    assert criterion.rows_to_decide(difference(-0.05, 0.01)) is None
    assert criterion.rows_to_decide(difference(math.nan, 0.01)) is None
    assert "more than a million rows decide" in criterion.describe(0.89, difference(-0.01, 0.02))
    # More rows may also show that the loss is too large.
    assert criterion.rows_to_decide(difference(-0.02, 0.02)) == pytest.approx(4 * 872 * 2.042, rel=0.001)


def test_the_measured_loss_is_shown_with_its_interval() -> None:
    criterion = Criterion.create("accuracy", 0.9, absolute=0.01)
    assert criterion.describe(0.895, difference(-0.005, 0.02)) == (
        "accuracy 0.8950 against 0.9000, a loss of 0.0050 where 0.0100 is allowed, "
        "95 % interval between 2.5 points worse and 1.5 better"
    )


def test_a_result_of_an_older_version_is_judged_on_the_measured_loss() -> None:
    facts = {"metric_name": "accuracy", "baseline": 0.9, "kind": "absolute", "asked_loss": 0.01, "measured": 0.895}
    result = CriterionResult.model_validate(facts | {"runtime": "openvino", "runtime_reason": "", "allowed_loss": 0.01})
    assert result.passed and result.gate_on == "point" and result.difference is None


@pytest.mark.parametrize("allowed", [0.05, 0.01])
def test_the_stated_number_of_rows_decides_8_times_in_10(allowed: float, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, candidate, reference = np.zeros((3, 800), int)
    candidate[:80] = reference[80:136] = 1  # Three points worse.
    criterion = Criterion.create("accuracy", 0.95, absolute=allowed, gate_on="interval")
    measured = paired_difference("accuracy", np.eye(2)[candidate], np.eye(2)[reference], labels)
    rows = criterion.rows_to_decide(measured)
    assert rows is not None and rows > 800
    monkeypatch.setattr(intervals, "_RESAMPLES", 400)
    generator, decided = np.random.default_rng(0), []
    for seed in range(80):
        # The rows that were measured are the population, so the measured difference is the true one.
        drawn = generator.integers(0, 800, round(rows))
        pair = [np.eye(2)[each[drawn]] for each in (candidate, reference)]
        found = paired_difference("accuracy", *pair, labels[drawn], seed=seed)
        decided.append(criterion.rows_to_decide(found) is None)
    assert np.mean(decided) == pytest.approx(0.8, abs=0.08)
