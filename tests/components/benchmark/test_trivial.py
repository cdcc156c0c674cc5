"""Candidates that predict the same for every row, or no better than that, are named on the first screen."""

import numpy as np
import pytest

from compaware.components.benchmark.report.render import render_html
from compaware.components.benchmark.report.sentences import headline, sentences
from compaware.components.benchmark.trivial import Trivial, find_trivial
from tests.components.benchmark.synthetic import benchmark, family, measured

NAMES = ("joy", "fear", "anger")


@pytest.mark.parametrize(
    ("metric", "labels", "names", "same", "other", "words", "score"),
    [
        ("accuracy", [0, 0, 2, 1], NAMES, [[5, 1, 0]] * 4, np.eye(3)[[0, 0, 2, 0]], "'joy'", 0.5),
        (
            "f1_micro",
            [[1, 0, 1], [1, 1, 0]],
            NAMES,
            [[1, -1, 1]] * 2,
            [[1, -1, 1], [1, 1, -1]],
            "'joy' with 'anger'",
            1,
        ),
        ("f1_macro", [[1, 0, 1], [1, 1, 0]], NAMES, [[-1, -1, -1]] * 2, [[1, -1, 1], [1, 1, -1]], "no label", 1),
        ("pearson", [0.0, 2.5, 5.0], (), [[2.711], [2.712], [2.713]], [[2.0], [2.5], [3.0]], "2.712", 0),
    ],
)
def test_the_same_prediction_for_every_row_is_found(metric, labels, names, same, other, words, score):
    logits = [("int8", np.array(same, np.float32)), ("student", np.array(other, np.float32))]
    found = find_trivial(metric, np.array(labels), names, logits)
    assert found.constant == {"int8": words}
    assert 0 <= found.score <= score
    broken = [("int8", np.full_like(logits[0][1], np.nan))]
    assert find_trivial(metric, np.array(labels), names, broken).constant == {}


def test_rows_of_one_label_only_show_nothing():
    assert find_trivial("accuracy", np.zeros(5, int), NAMES, [("int8", np.eye(3)[[0] * 5])]) is None


def test_a_constant_candidate_is_named_beside_the_recommendation_and_its_accuracy_is_not_praised():
    found = benchmark(family().candidates, test={"teacher": 0.90, "student": 0.88, "int8": 0.879, "sparse": 0.86})
    usual = sentences(found)
    assert found.recommended.id == "int8_onnxruntime" and "every row" not in " ".join(usual)
    constant = dict.fromkeys(("student_torch", "student_openvino", "student_onnxruntime", "int8_onnxruntime"), "'joy'")
    found.trivial = Trivial(score=0.5, constant=constant | {"teacher_torch": "'fear'"})
    words = sentences(found)
    assert words[0] == usual[0]
    assert words[1] == "Student and INT8 in onnxruntime predict 'joy' for every row of test."
    assert words[2] == "Teacher in torch predicts 'fear' for every row of test."
    assert words[3:] == usual[1:]
    assert headline(found).endswith("smaller, but it predicts 'joy' for every row of test")
    found.words = words
    assert "predict &#39;joy&#39; for every row of test" in render_html(found, {})


@pytest.mark.parametrize(("score", "is_said"), [(0.9, True), (0.87, True), (0.85, False)])
def test_a_score_that_predictions_without_the_text_reach_is_said(score: float, is_said: bool):
    found = benchmark(family().candidates, test={"teacher": 0.90, "student": 0.88, "int8": 0.879, "sparse": 0.86})
    found.trivial = Trivial(score=score)
    sentence = (
        "INT8 in onnxruntime is not measurably better than predictions that ignore the text: their accuracy is "
        f"{score:.4f} on test."
    )
    assert (sentences(found)[1] == sentence) == is_said


def test_a_floor_that_keeps_the_score_of_a_constant_student_does_not_replace_a_transformer():
    floor = measured("tfidf", "sklearn", role="floor", metric=0.9, milliseconds={1: 0.2, 8: 0.5, 32: 1.5})
    found = benchmark([*family().candidates, floor])
    assert "a transformer is not needed" in " ".join(sentences(found))
    found.trivial = Trivial(score=0.5, constant={"student_torch": "'joy'"})
    text = " ".join(sentences(found))
    assert "keeps the accuracy of the FP32 student, which predicts the same for every row: 0.9000" in text
    assert "a transformer is not needed" not in text


def test_a_model_alone_is_compared_with_itself_in_another_runtime():
    found = benchmark([item for item in family().candidates if item.name == "student"])
    assert headline(found).startswith("Student in openvino: 2.0x faster than in torch at batch 1, ")
    assert "smaller" not in headline(found)
