"""Which form is recommended: the fastest that keeps the accuracy, whatever its model and precision."""

import pytest

from compaware.components.benchmark.flat_metrics import flat_metrics
from compaware.components.benchmark.report.sentences import headline
from compaware.components.core.evaluation.criterion import Criterion
from tests.components.benchmark.synthetic import benchmark, family, measured

SERVED = {1: 2.0, 8: 9.0}


def candidates(bf16_ms: float = 1.0, bf16_metric: float = 0.90, int8_ms: float = 1.0, teacher_ms: float = 3.0):
    """A teacher, a student in FP32 and BF16, and its INT8 form; times at batch 1."""

    def times(milliseconds: float) -> dict[int, float]:
        return {size: value * milliseconds / SERVED[1] for size, value in SERVED.items()}

    student = {"role": "student", "megabytes": 69}
    bf16 = measured("student", "openvino", precision="bf16", metric=bf16_metric, milliseconds=times(bf16_ms), **student)
    return [
        measured("teacher", "torch", role="teacher", metric=0.91, milliseconds=times(8.0)),
        measured("teacher", "openvino", role="teacher", metric=0.91, milliseconds=times(teacher_ms)),
        measured("student", "openvino", metric=0.90, milliseconds=times(2.0), **student),
        bf16.model_copy(update={"id": "student_bf16_openvino"}),
        measured("int8", "openvino", role="int8", precision="int8", metric=0.899, milliseconds=times(int8_ms)),
    ]


@pytest.mark.parametrize(
    ("speeds", "chosen"),
    [
        ({"bf16_ms": 0.8}, "student_bf16_openvino"),
        ({"int8_ms": 0.8}, "int8_openvino"),
        ({"bf16_ms": 0.8, "bf16_metric": 0.88}, "int8_openvino"),
        ({"bf16_ms": 2.5, "int8_ms": 2.5}, "student_openvino"),
        ({"bf16_ms": 2.5, "int8_ms": 2.5, "teacher_ms": 1.5}, "teacher_openvino"),
    ],
)
def test_the_fastest_form_that_keeps_the_accuracy_is_recommended(speeds: dict[str, float], chosen: str):
    found = benchmark(candidates(**speeds))
    assert found.recommended.by_batch == {1: chosen, 8: chosen}
    role = found.by_id(chosen).name
    assert headline(found).lower().startswith(role)


def test_of_equally_fast_forms_the_smallest_is_recommended_and_the_sentence_says_so():
    items = candidates(bf16_ms=1.0, int8_ms=1.01)
    items[-1] = items[-1].model_copy(update={"size_bytes": 18_000_000})
    found = benchmark(items)
    assert found.recommended.id == "int8_openvino"
    assert "Student in openvino with BF16 is not clearly faster at batch 1, and it is larger." in found.words[0]
    items[-1] = items[-1].model_copy(update={"size_bytes": 69_000_000})
    found = benchmark(items)
    assert found.recommended.id == "student_bf16_openvino"
    assert "not clearly faster" not in found.words[0]


def test_where_no_form_keeps_the_accuracy_the_fastest_is_named_and_this_is_said():
    int8 = measured("int8", "openvino", role="int8", precision="int8", metric=0.7, milliseconds={1: 1.0})
    found = benchmark([int8], criteria={"int8": Criterion.usual("accuracy", 0.9)})
    assert found.recommended.id == "int8_openvino"
    assert "No INT8 candidate stays within" in found.words[0] and "none is known to keep the accuracy" in found.words[0]


def test_int8_is_compared_with_the_best_bf16_form_and_with_the_teachers_best_form():
    found = benchmark(candidates(bf16_ms=1.0, int8_ms=0.5))
    metrics = flat_metrics(found)
    assert metrics["best_int8_speedup_vs_best_bf16_batch1"] == pytest.approx(2.0, rel=0.02)
    assert metrics["best_int8_speedup_vs_best_fp32_batch1"] == pytest.approx(4.0, rel=0.02)
    assert metrics["best_int8_speedup_vs_best_teacher_batch8"] == pytest.approx(6.0, rel=0.02)
    assert metrics["best_int8_speedup_vs_teacher_batch8"] == pytest.approx(16.0, rel=0.02)
    assert found.by_id("int8_openvino").batches[1].ratio_to_best_teacher == pytest.approx(6.0, rel=0.02)
    assert "over the best BF16 form of the student, the speed of INT8 is 2.0" in " ".join(found.words)
    without = family()
    assert not any("bf16" in name for name in flat_metrics(without))
    assert "best BF16 form" not in " ".join(without.words)


def test_a_form_of_the_teacher_that_loses_accuracy_is_no_reference():
    items = candidates()
    fast = measured("teacher", "ipex", role="teacher", metric=0.80, milliseconds={1: 0.1, 8: 0.4}, precision="int8")
    found = benchmark([*items, fast.model_copy(update={"id": "teacher_int8_ipex"})])
    assert found.best_teacher(1).id == "teacher_openvino"


@pytest.mark.parametrize(("gate_on", "chosen"), [("point", "int8_openvino"), ("interval", "student_bf16_openvino")])
def test_a_criterion_on_the_interval_recommends_by_the_paired_difference_and_says_so(gate_on: str, chosen: str):
    items = candidates(bf16_ms=1.0, int8_ms=0.8)
    items[-1] = items[-1].model_copy(update={"metric": 0.895})
    criterion = Criterion.create("accuracy", 0.90, absolute=0.006, gate_on=gate_on)
    found = benchmark(items, criteria={"int8": criterion}, test={})
    assert found.recommended.id == chosen
    refused = "No INT8 candidate stays within 0.6 points of the FP32 model's accuracy with 95 % confidence."
    assert found.words[0].startswith(refused) == (gate_on == "interval")


def test_a_bf16_form_that_is_served_or_a_reference_is_compared_with_its_fp32():
    test = {"teacher": 0.90, "student": 0.90, "int8": 0.85}
    served = benchmark(candidates(bf16_ms=0.4, int8_ms=0.5), test=test)
    assert served.recommended.id == "student_bf16_openvino"
    assert "Against its FP32 form: no measurable loss" in served.words[1]
    other = benchmark(candidates(bf16_ms=1.0, int8_ms=0.5), test=test)
    assert other.recommended.id == "int8_openvino" and "FP32 form" not in " ".join(other.words)
    assert any(words.startswith("BF16 against FP32 on test: student in openvino: no meas") for words in other.words)
    assert "BF16 against FP32" not in " ".join(benchmark(candidates(), test=test).words)
