"""What the report says about floors, for made-up figures."""

import math

import pytest

from compaware.components.benchmark.floor.words import floor_sentences
from compaware.components.benchmark.report.render import render_html, render_markdown
from compaware.components.benchmark.report.sentences import sentences
from compaware.components.benchmark.results import Benchmark, Differences, FloorTraining, SplitScore
from compaware.components.core.evaluation.intervals import Difference, Interval
from tests.components.benchmark.synthetic import benchmark, family, measured


def with_floor(metric: float) -> Benchmark:
    """Returns a benchmark with a student of accuracy 0.896 and a floor of this one, which is faster than all."""
    floor = measured(
        "tfidf", "sklearn", role="floor", metric=metric, milliseconds={1: 0.2, 8: 0.5, 32: 1.5}, megabytes=2
    )
    made = benchmark([*family().candidates, floor])
    made.floors["tfidf"] = FloorTraining(rows=67349, features=79054, regularization_c=10.0, seconds=6.5)
    return made


def test_a_floor_that_keeps_the_accuracy_is_said_plainly_but_not_recommended() -> None:
    found = with_floor(0.89)
    assert found.words[1] == (
        "TF-IDF with logistic regression keeps the accuracy of the FP32 student, so a transformer is not needed for "
        "this data: 0.8900 against 0.8960 on validation."
    )
    assert found.recommended == family().recommended


def test_a_floor_that_keeps_only_the_accuracy_of_a_bad_student_does_not_replace_a_transformer() -> None:
    found = with_floor(0.89)
    teacher = found.by_id("teacher_torch")
    found.candidates[0] = teacher.model_copy(update={"metric": 0.95})
    assert sentences(found)[1] == (
        "TF-IDF with logistic regression keeps the accuracy of the FP32 student, but is not known to keep that of the "
        "teacher: 0.8900 against 0.8960 on validation."
    )


def test_a_floor_below_is_compared_with_its_interval() -> None:
    found = with_floor(0.82)
    assert found.words[1] == (
        "TF-IDF with logistic regression does not keep the accuracy of the FP32 student: 0.8200 against 0.8960 on "
        "validation."
    )
    difference = Difference(value=-0.076, low=-0.1, high=-0.05, rows=872)
    found.by_id("tfidf_sklearn").differences["student_torch"] = Differences(validation=difference)
    assert sentences(found)[1].endswith(": 0.8200 against 0.8960, between 5.0 and 10.0 points worse on validation.")


def test_each_floor_has_its_own_sentence() -> None:
    found = with_floor(0.82)
    found.candidates.append(measured("static", "numpy", role="floor", metric=0.89, milliseconds={1: 0.1, 8: 1, 32: 2}))
    found.floors["static"] = FloorTraining(rows=67349, features=256, regularization_c=3.0, seconds=12.0)
    words = sentences(found)
    assert words[1].startswith("TF-IDF with logistic regression does not keep the accuracy")
    assert words[2].startswith("A static-embedding model with logistic regression keeps the accuracy")
    text = render_markdown(found, {})
    assert "| static | 0.8900 |" in text and "A static embedding is the mean output of the teacher" in text
    assert "static embedding" not in render_markdown(with_floor(0.82), {})


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.009, 0.02, " keeps the accuracy of the FP32 student, so a transformer is not needed for this data: "),
        (-0.03, 0.01, " may or may not keep the accuracy of the FP32 student, and more rows are needed to tell: "),
        (-0.03, -0.011, " does not keep the accuracy of the FP32 student: "),
    ],
)
def test_the_words_follow_the_interval_that_is_given(low: float, high: float, words: str) -> None:
    found = with_floor(0.896)
    same = Difference(value=0.0, low=0.0, high=0.0, rows=872)
    test = Difference(value=(low + high) / 2, low=low, high=high, rows=1821)
    found.by_id("tfidf_sklearn").differences["student_torch"] = Differences(validation=same, test=test)
    assert words in sentences(found)[1]


def test_only_a_floor_that_keeps_the_criterion_never_replaces_models_that_do_not() -> None:
    found = benchmark(
        [
            measured("student", "torch", role="student", metric=0.9, milliseconds={1: 10}),
            measured("int8", "openvino", role="int8", precision="int8", metric=0.5, milliseconds={1: 3}),
            measured("tfidf", "sklearn", role="floor", metric=0.95, milliseconds={1: 0.1}),
        ]
    )
    assert found.recommended is not None and found.recommended.id == "student_torch"


def test_the_table_of_floors_names_the_split_of_each_score() -> None:
    found = with_floor(0.82)
    for item in found.candidates:
        item.test = SplitScore(rows=1821, metric=0.81, interval=Interval(value=0.81, low=0.79, high=0.83))
    text = render_markdown(found, {})
    assert "| floor | accuracy, validation | accuracy, test | p50 ms, batch 1 |" in text
    assert "| TF-IDF | 0.8200 | 0.8100 (0.790 to 0.830) | 0.20 |" in text


def test_the_report_lists_floors_beside_the_others_and_how_they_were_trained() -> None:
    found = with_floor(0.82)
    for text in (render_html(found, {}), render_markdown(found, {})):
        assert "TF-IDF" in text and "sklearn FP32" in text and "79,054" in text
        assert "starts from text, so its time includes tokenization" in text
    assert "Floors" not in render_markdown(family(), {})


def test_a_floor_is_not_compared_where_the_metric_is_undefined() -> None:
    found = with_floor(0.82)
    found.candidates = [item.model_copy(update={"metric": math.nan}) for item in found.candidates]
    assert floor_sentences(found, found.by_id("student_torch")) == [
        "TF-IDF with logistic regression cannot be compared with the FP32 student: the accuracy of one or both is "
        "undefined on validation."
    ]
