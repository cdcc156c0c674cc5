"""The report of a sweep, for made-up figures."""

import math
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from compaware.components.benchmark.results import Benchmark, FloorTraining, Unmeasured
from compaware.components.benchmark.trivial import Trivial
from compaware.components.core.base.errors import UserError
from compaware.components.sweep_benchmark.config import SweepBenchmarkConfig
from compaware.components.sweep_benchmark.judge import flat_metrics, judge
from compaware.components.sweep_benchmark.members import mark_unmeasured
from compaware.components.sweep_benchmark.pareto import Constraint
from compaware.components.sweep_benchmark.sweep_report import render
from compaware.components.sweep_benchmark.sweep_results import Sweep
from compaware.components.sweep_benchmark.sweep_sentences import headline, sentences
from compaware.components.sweep_plan.grid import Member
from tests.components.benchmark.synthetic import benchmark, measured

FAILURE = "distillation: student_layers [7] must name different layers of the teacher, 0 to 5"


def member(name: str, precision: str = "fp32", failure: str = "") -> Member:
    role = "int8" if precision == "int8" else "student"
    return Member(
        name=name, role=role, student="s", temperature=2, target_sparsity=0, precision=precision, failure=failure
    )


MEMBERS = [member("two_t2"), member("three_t2"), member("three_t2_int8", "int8"), member("lost_t2", failure=FAILURE)]


@pytest.fixture(scope="module")
def figures() -> Benchmark:
    """A teacher and three members; the INT8 one is as fast as the small one, and more accurate."""
    return benchmark(
        [
            measured("teacher", "torch", role="teacher", metric=0.90, milliseconds={1: 20.0, 8: 80.0}),
            measured("two_t2", "openvino", role="student", metric=0.84, milliseconds={1: 3.0, 8: 12.0}, megabytes=60),
            measured("two_t2", "onnxruntime", role="student", metric=0.84, milliseconds={1: 2.5, 8: 13}, megabytes=60),
            measured("three_t2", "onnxruntime", role="student", metric=0.88, milliseconds={1: 4, 8: 19}, megabytes=70),
            measured(
                "three_t2_int8",
                "onnxruntime",
                role="int8",
                precision="int8",
                metric=0.87,
                milliseconds={1: 2.0, 8: 9.0},
                megabytes=18,
            ),
        ]
    )


def report(figures: Benchmark, **asked: float) -> tuple[str, str, str]:
    sweep = judge(figures, MEMBERS, Constraint(**asked))
    title = headline(figures, sweep)
    figures.words = sentences(figures, sweep)
    return title, *render(figures, sweep, title)


def test_each_member_is_judged_in_its_fastest_runtime(figures: Benchmark):
    sweep = judge(figures, MEMBERS, Constraint())
    fronts = {item.id: (item.on_latency_front, item.on_size_front) for item in sweep.standings}
    assert fronts == {
        "two_t2_onnxruntime": (False, False),
        "three_t2_onnxruntime": (True, True),
        "three_t2_int8_onnxruntime": (True, True),
    }


def test_the_report_names_the_member_to_serve_and_lists_what_failed(figures: Benchmark):
    title, page, text = report(figures, min_accuracy=0.86)
    assert title.startswith("Serve three_t2_int8 in onnxruntime: accuracy 0.8700, 2.0")
    for report_text in (page, text.replace("\\_", "_")):
        assert "Members that failed" in report_text and "lost_t2" in report_text and "0 to 5" in report_text
        assert "3 of 4 members were measured; 1 failed for the reasons below" in report_text
    assert page.count("<svg") >= 2
    drawings = page[page.index("<figure>") : page.rindex("</figure>")]
    assert not re.search(r"#[0-9a-fA-F]{6}\b", re.sub(r'(href="|url\(|id=")#?[^")]*', "", drawings))
    assert re.search(r"\*\*three\\_t2\\_int8\*\* \(serve\)", text)


def test_a_member_that_could_not_be_measured_is_listed_with_those_that_failed(figures: Benchmark):
    lost = Unmeasured(name="broken_t2", role="student", reason="killed by signal 9")
    with_lost = figures.model_copy(update={"unmeasured": [lost]})
    members = mark_unmeasured([*MEMBERS, member("broken_t2")], with_lost)
    assert {item.name: item.failure for item in members if item.failure} == {
        "lost_t2": FAILURE,
        "broken_t2": "benchmark: killed by signal 9",
    }
    sweep = judge(with_lost, members, Constraint())
    assert "broken\\_t2" in render(with_lost, sweep, headline(with_lost, sweep))[1]
    with pytest.raises(UserError, match="no member of the sweep could be measured; broken_t2 failed in benchmark"):
        mark_unmeasured([member("broken_t2")], with_lost)


def test_where_no_member_meets_the_limits_the_nearest_is_named_and_none_is_to_serve(figures: Benchmark):
    title, page, text = report(figures, max_size_mb=10, min_accuracy=0.86)
    assert title.startswith(
        "No member of the sweep has at most 10.0 MB and accuracy of at least 0.86; the nearest is three"
    )
    assert "nearest" in page and "(serve)" not in text.partition("## Batch size")[0]


def test_a_form_that_loses_the_accuracy_of_its_member_does_not_count_and_is_listed(figures: Benchmark):
    fast = measured(
        "three_t2", "openvino", role="student", precision="bf16", metric=0.85, milliseconds={1: 1.0, 8: 4.0}
    ).model_copy(update={"id": "three_t2_bf16_openvino"})
    lossy = benchmark([*figures.candidates, fast])
    sweep = judge(lossy, MEMBERS, Constraint())
    assert "three_t2_onnxruntime" in {item.id for item in sweep.standings}
    assert "three_t2 in openvino with BF16 (-3.0 points)" in " ".join(sentences(lossy, sweep))
    kept = benchmark([*figures.candidates, fast.model_copy(update={"metric": 0.879})])
    sweep = judge(kept, MEMBERS, Constraint())
    assert sweep.chosen == "three_t2_bf16_openvino"
    assert headline(kept, sweep).startswith("Serve three_t2 in openvino with BF16: accuracy 0.8790")
    assert "do not count" not in " ".join(sentences(kept, sweep))


@pytest.mark.parametrize("lucky", ["two_t2", "three_t2"])
def test_test_rows_are_reported_and_choose_no_member(figures: Benchmark, lucky: str):
    test = {"teacher": 0.9, "two_t2": 0.8, "three_t2": 0.8, "three_t2_int8": 0.7} | {lucky: 0.99}
    tested = benchmark(figures.candidates, test=test)
    sweep = judge(tested, MEMBERS, Constraint(min_accuracy=0.86))
    assert sweep.chosen == "three_t2_int8_onnxruntime"
    title = headline(tested, sweep)
    assert title.startswith("Serve three_t2_int8 in onnxruntime: accuracy 0.7001 on test (0.8700 on validation), 2.0")
    tested.words = sentences(tested, sweep)
    text = " ".join(tested.words)
    assert (
        "Validation (872 rows) was used to choose the member to serve and its form; test (1,744 rows) was used for no "
        "choice."
    ) in text
    assert "points worse in accuracy on test" in text
    for page in render(tested, sweep, title):
        assert "accuracy, validation" in page and "accuracy, test" in page and "0.7001 (0.6" in page
    metrics = flat_metrics(tested, sweep)
    assert metrics["recommended_test_accuracy"] == pytest.approx(0.7, abs=0.001)
    assert metrics["recommended_accuracy_low"] < 0.87 < metrics["three_t2_int8_accuracy_high"]


def test_a_floor_is_compared_with_the_chosen_member_and_is_no_member(figures: Benchmark):
    floor = measured("tfidf", "sklearn", role="floor", metric=0.80, milliseconds={1: 0.2, 8: 0.5}, megabytes=2)
    members = [item.model_copy(update={"test": None, "differences": {}}) for item in figures.candidates]
    found = benchmark([*members, floor])
    found.floors["tfidf"] = FloorTraining(rows=100, features=10, regularization_c=1.0, seconds=0.1)
    title, page, text = report(found, min_accuracy=0.5)
    assert title.startswith("Serve three_t2_int8 in onnxruntime")
    words = "TF-IDF with logistic regression does not keep the accuracy of"
    assert f"{words} three_t2_int8: 0.8000 against 0.8700 on validation." in found.words
    assert words in page and words in text
    assert "Floors: without a transformer" in page


def test_a_minimum_accuracy_in_percent_is_refused(tmp_path: Path):
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        SweepBenchmarkConfig(
            output=tmp_path, dataset=tmp_path, teacher=tmp_path, branches=(tmp_path,), min_accuracy=87.0
        )


def test_a_member_that_predicts_the_same_for_every_row_is_named(figures: Benchmark):
    found = figures.model_copy(
        update={"trivial": Trivial(score=0.5, constant={"three_t2_int8_onnxruntime": "'joy'", "two_t2_torch": "'joy'"})}
    )
    sweep = judge(found, MEMBERS, Constraint(min_accuracy=0.86))
    assert sweep.chosen == "three_t2_int8_onnxruntime"
    assert sentences(found, sweep)[1] == "three_t2_int8 predicts 'joy' for every row of validation."


@pytest.mark.parametrize("constraint", [Constraint(), Constraint(min_accuracy=0.5), Constraint(max_latency_ms=5)])
def test_a_member_whose_metric_is_undefined_is_not_served(constraint: Constraint) -> None:
    candidates = [
        measured("teacher", "torch", role="teacher", metric=0.90, milliseconds={1: 20.0}),
        measured("two_t2", "openvino", role="student", metric=math.nan, milliseconds={1: 3.0}),
        measured("three_t2", "openvino", role="student", metric=0.8, milliseconds={1: 4.0}),
    ]
    for item in candidates:
        item.metric_name = "pearson"
    found = benchmark(candidates)
    sweep = judge(found, MEMBERS[:2], constraint)
    assert (sweep.chosen, sweep.is_met) == ("three_t2_openvino", True)
    assert [item.on_latency_front for item in sweep.standings] == [False, True]
    assert Sweep.model_validate_json(sweep.model_dump_json()).chosen == sweep.chosen
    alone = judge(found, MEMBERS[:1], constraint)
    assert not alone.is_met
    said = [headline(found, alone), *sentences(found, alone)]
    assert not any("nan" in text.split() or "inf" in text.split() for text in said)
    assert said[1] == "Pearson correlation of every member is undefined."
