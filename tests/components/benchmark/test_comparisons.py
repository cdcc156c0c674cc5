"""Intervals and differences of candidates, which say how sure a figure is and which rows decided what."""

import numpy as np
import pytest

from compaware.components.benchmark import comparisons
from compaware.components.benchmark.comparisons import Comparisons, score_interval
from compaware.components.benchmark.flat_metrics import flat_metrics
from compaware.components.benchmark.report.render import render_html, render_markdown
from compaware.components.benchmark.report.sentences import headline
from compaware.components.benchmark.results import Benchmark
from tests.components.benchmark.synthetic import benchmark as synthetic
from tests.components.benchmark.synthetic import family, logits, measured

TEST = {"teacher": 0.90, "student": 0.88, "int8": 0.879, "sparse": 0.86}


@pytest.fixture(scope="module")
def tested() -> Benchmark:
    """The usual candidates with a test split of 1,744 rows, on which they lose more than on validation."""
    return synthetic(family().candidates, test=TEST)


def test_test_is_reported_beside_validation_with_intervals_and_the_words_follow_them(tested: Benchmark):
    text = " ".join(tested.words)
    assert "The accuracy of INT8 in onnxruntime on test is 0.8790 (95 % interval 0.86" in text
    assert "Against the teacher: between 1." in text and "points worse." in text
    assert "Against the student: no measurable loss (between" in text
    sentence = "Validation (872 rows) was used to choose the form to serve; test (1,744 rows) was used for no choice."
    assert sentence in text
    assert "points worse in accuracy on test" in headline(tested)
    for page in (render_html(tested, {}), render_markdown(tested, {})):
        assert "accuracy, validation" in page and "accuracy, test" in page and "McNemar p" in page
        assert "0.8956 (0.87" in page and "0.8790 (0.86" in page


def test_without_a_test_split_the_figures_were_chosen_on_these_rows():
    found = synthetic(family().candidates, test={})
    text = " ".join(found.words)
    assert "No other labelled split was scored: the scores are of models chosen on these rows." in text
    assert "no measurable loss in accuracy on validation (at most " in headline(found)


@pytest.mark.parametrize("test", [{**TEST, "int8": 0.5}, {**TEST, "int8": 0.99, "student": 0.2}])
def test_whatever_the_test_rows_say_the_same_form_is_recommended(tested: Benchmark, test: dict[str, float]):
    other = synthetic(family().candidates, test=test)
    assert other.recommended == tested.recommended and other.criteria == tested.criteria


def test_scores_on_test_and_intervals_are_flat_metrics_too(tested: Benchmark):
    metrics = flat_metrics(tested)
    assert metrics["int8_accuracy_low"] < metrics["int8_accuracy"] < metrics["int8_accuracy_high"]
    assert metrics["int8_test_accuracy_low"] < metrics["int8_test_accuracy"] < metrics["int8_test_accuracy_high"]
    assert metrics["int8_test_accuracy"] == pytest.approx(0.879, abs=0.001)


def test_figures_of_an_earlier_version_still_load_and_make_a_report(tested: Benchmark):
    older = tested.model_dump(mode="json", exclude={"candidates": {"__all__": {"interval", "test", "differences"}}})
    del older["data"]["test_rows"]
    for item in older["candidates"]:
        for batch in item["batches"].values():
            del batch["ratio_to_best_teacher"]
    loaded = Benchmark.model_validate(older)
    assert "points of accuracy" in headline(loaded)
    assert "accuracy, validation" in render_html(loaded, {})


def test_equal_logits_differ_by_exactly_nothing_and_the_same_predictions_are_resampled_once(
    monkeypatch: pytest.MonkeyPatch,
):
    labels = np.random.default_rng(0).integers(0, 2, 500)
    scores = np.random.default_rng(1).normal(size=(500, 2)).astype(np.float32)
    compared = Comparisons("accuracy", labels)
    same = compared.difference(scores, scores.copy())
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    first, other = compared.interval(scores), compared.difference(scores, -scores)
    monkeypatch.setattr("compaware.components.benchmark.comparisons.score_interval", None)
    monkeypatch.setattr("compaware.components.benchmark.comparisons.paired_difference", None)
    assert compared.interval(scores * 1.001) == first
    assert compared.difference(scores * 1.001, -scores) == other


@pytest.mark.parametrize("metric", ["pearson", "f1_micro"])
def test_regression_and_multi_label_data_have_intervals_too(metric: str):
    generator = np.random.default_rng(0)
    if metric == "pearson":
        labels = generator.normal(size=300)
        scores = (labels + generator.normal(size=300)).reshape(-1, 1)
    else:
        labels = generator.integers(0, 2, (300, 3)).astype(np.int8)
        scores = 2.0 * labels - 1 + generator.normal(size=(300, 3))
    worse = scores + 2 * generator.normal(size=scores.shape)
    compared = Comparisons(metric, labels)
    interval, difference = compared.interval(scores), compared.difference(worse, scores)
    assert interval.low < interval.value < interval.high
    assert difference.low <= difference.value <= difference.high < 0
    assert difference.p_value is None


def test_forms_that_predict_the_same_share_an_interval(monkeypatch: pytest.MonkeyPatch):
    compared, computed = Comparisons("accuracy", np.zeros(1000, np.int64)), []
    monkeypatch.setattr(comparisons, "score_interval", lambda *given: computed.append(1) or score_interval(*given))
    for scores in 3 * [logits(accuracy, 1000) for accuracy in (0.9, 0.89, 0.885, 0.88)]:
        compared.interval(scores + 0.001)
    assert len(computed) == 4


def test_one_teacher_alone_has_an_interval_and_no_difference():
    teacher = measured("teacher", "torch", role="teacher", metric=0.9, milliseconds={1: 5.0})
    found = synthetic([teacher], test={"teacher": 0.88})
    assert found.candidates[0].differences == {}
    assert headline(found).endswith("accuracy 0.8802 on test")
