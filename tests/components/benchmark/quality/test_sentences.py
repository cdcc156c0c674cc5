"""Sentences about the predictions, of synthetic figures."""

import pytest

from compaware.components.benchmark.quality.flat import quality_metrics
from compaware.components.benchmark.quality.sentences import quality_sentences
from compaware.components.benchmark.results import Benchmark
from tests.components.benchmark.synthetic import family, quality


def with_quality(**options: float) -> Benchmark:
    """Returns `family` with figures of its predictions."""
    found = family()
    found.quality = quality(**options)
    return found


def test_nothing_is_said_if_nothing_is_worse() -> None:
    assert quality_sentences(with_quality()) == []
    assert quality_sentences(family()) == []


def test_a_class_and_a_slice_that_lost_are_named() -> None:
    classes, slices = quality_sentences(with_quality(loss=0.05))
    assert classes == (
        "INT8 finds fewer rows of some classes than the FP32 student: recall of 'positive' between 2.8 and 6.8 points "
        "worse."
    )
    assert "some slices of test: shop 'positive' (469 rows) between 2.8 and 6.8 points worse." in slices
    assert "'negative'" not in classes + slices


def test_probabilities_that_became_less_reliable_are_named() -> None:
    found = with_quality(loss=0.05)
    assert found.quality
    int8, student = (found.quality.calibration[name] for name in ("int8", "student"))
    int8.errors_at_temperature, int8.errors.ece, student.errors.ece = None, 0.0611, 0.03
    assert quality_sentences(found)[-1] == (
        "The probabilities of INT8 are less reliable than those of the FP32 student: calibration error (ECE) 0.061 "
        "against 0.030."
    )
    int8.errors.ece = 0.035
    assert not any("probabilities" in sentence for sentence in quality_sentences(found))


def test_a_loss_that_chance_explains_is_not_named() -> None:
    assert quality_sentences(with_quality(loss=0.01)) == []


def test_drift_of_unlabelled_rows_comes_before_that_of_labelled_ones() -> None:
    found = with_quality()
    assert found.quality
    labelled, unlabelled = found.quality.drift
    unlabelled.agreement, unlabelled.shares = 0.95, {"negative": (0.5, 0.54), "positive": (0.5, 0.46)}
    labelled.agreement = 0.9
    assert quality_sentences(found) == [
        "INT8 and the FP32 student decide differently on 5.0 % of 872 unlabelled rows; the share of 'negative' goes "
        "from 50.0 % to 54.0 %."
    ]
    unlabelled.agreement = 0.99
    assert "10.0 % of 872 test rows" in quality_sentences(found)[0]


def test_a_larger_error_is_worse_in_regression() -> None:
    found = with_quality()
    found.data["metric"] = "spearman"
    assert found.quality and found.quality.slices[0].difference
    lost = found.quality.slices[0]
    lost.difference = lost.difference.model_copy(update={"value": 0.2, "low": 0.1, "high": 0.3})
    lost.p_value = 1e-6
    [text] = quality_sentences(found)
    assert text.endswith(f"{lost.value} ({lost.rows} rows): error +0.2.")
    lost.difference = lost.difference.model_copy(update={"value": -0.2, "low": -0.3, "high": -0.1})
    assert quality_sentences(found) == []


def test_without_a_dense_model_nothing_is_compared() -> None:
    found = with_quality(loss=0.05)
    assert found.quality
    found.quality.reference = None
    assert quality_sentences(found) == []


def test_flat_figures_have_stable_names() -> None:
    found = quality_metrics(quality())
    names = ("teacher", "student", "int8", "sparse")
    agreements = {"best_int8_fp32_agreement", "best_int8_unlabelled_fp32_agreement"}
    assert set(found) == {f"{name}_ece" for name in names} | agreements
    assert found["best_int8_fp32_agreement"] == pytest.approx(1, abs=0.02)
    assert quality_metrics(None) == {}
