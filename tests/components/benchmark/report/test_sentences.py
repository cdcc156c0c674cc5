"""The sentences of the report, for made-up timings."""

import pytest

from compaware.components.benchmark.report.formatting import format_change, format_quotient, format_size, join_with_and
from compaware.components.benchmark.report.render import render_markdown
from compaware.components.benchmark.report.sentences import headline, sentences
from tests.components.benchmark.synthetic import benchmark, family, measured


def said(found) -> str:
    return " ".join(found.words)


def test_faster_int8_is_recommended_and_called_faster():
    found = family(int8_speed=2.0)
    assert found.recommended.by_batch == dict.fromkeys((1, 8, 32), "int8_onnxruntime")
    assert "INT8 is faster than the best FP32 runtime of the student at batch 1" in said(found)
    assert "On this CPU INT8 is" not in said(found)


def test_slower_int8_is_called_slower_in_words():
    found = family(int8_speed=0.8)
    assert "On this CPU INT8 is slower than the best FP32 runtime of the student at batch 1" in said(found)
    assert "INT8 is faster" not in said(found)


def test_equal_int8_is_not_called_faster():
    found = family(int8_speed=1.01)
    assert "On this CPU INT8 is not clearly faster" in said(found)
    assert "INT8 is faster" not in said(found)


def test_int8_that_loses_accuracy_is_not_recommended():
    found = family(int8_metric=0.80)
    assert found.by_id(found.recommended.id).role == "student"
    assert "No INT8 candidate stays within 1.0 points" in said(found)
    assert "the fastest runtime of the student" in said(found)
    assert "NOT within the allowed loss" in said(found)


def test_int8_in_both_precisions_of_openvino_is_told_apart():
    served = {"role": "int8", "metric": 0.9}
    found = benchmark(
        [
            measured("student", "torch", role="student", metric=0.9, milliseconds={1: 10}),
            measured("int8", "openvino", precision="int8", milliseconds={1: 3}, **served),
            measured("int8", "openvino", precision="int8_bf16", milliseconds={1: 2}, **served),
        ]
    )
    assert headline(found).startswith("INT8 in openvino with BF16: ")
    assert found.words[0].startswith("Serve INT8 in openvino with BF16 at batch 1: ")
    assert "INT8 in openvino 0.9000 (±0.0 points) and INT8 in openvino with BF16 0.9000" in " ".join(sentences(found))


def test_cut_rows_are_said():
    found = family()
    assert "were cut" not in said(found)
    found.data["cut_rows"] = 12
    text = " ".join(sentences(found))
    assert "12 of 872 rows are longer than 128 tokens and were cut. Raise max_length_tokens" in text
    found.data["cut_rows"] = 1
    assert "1 of 872 rows is longer than 128 tokens and was cut." in " ".join(sentences(found))
    found.settings["length_limited_by_model"] = True
    text = " ".join(sentences(found))
    assert "128 tokens, the limit of one of the models, and was cut." in text and "Raise max_length_tokens" not in text


def test_metrics_are_called_by_their_usual_names():
    found = family()
    for item in found.candidates:
        item.metric_name = "f1_macro"
    assert "points of macro F1" in headline(found)
    assert "| macro F1, validation |" in render_markdown(found, {})


def test_a_tie_with_the_allowed_loss_is_kept():
    found = family(int8_metric=0.8860)
    assert found.by_id(found.recommended.id).role == "int8"


def test_each_batch_size_gets_its_own_recommendation():
    found = benchmark(
        [
            measured("teacher", "torch", role="teacher", metric=0.9, milliseconds={1: 10, 32: 100}),
            measured("int8", "openvino", role="int8", precision="int8", metric=0.9, milliseconds={1: 2, 32: 50}),
            measured("int8", "onnxruntime", role="int8", precision="int8", metric=0.9, milliseconds={1: 3, 32: 30}),
        ]
    )
    assert found.recommended.by_batch == {1: "int8_openvino", 32: "int8_onnxruntime"}
    assert found.words[0].startswith("Serve INT8 in openvino at batch 1 and INT8 in onnxruntime at batch 32")


def test_the_reason_holds_for_the_forms_of_all_batch_sizes():
    found = benchmark(
        [
            measured("student", "onnxruntime", role="student", metric=0.9, milliseconds={1: 2, 32: 60}),
            measured("int8", "onnxruntime", role="int8", precision="int8", metric=0.9, milliseconds={1: 3, 32: 30}),
        ]
    )
    assert found.words[0] == (
        "Serve student in onnxruntime at batch 1 and INT8 in onnxruntime at batch 32: the fastest form that stays "
        "within 1.0 points of the FP32 model's accuracy."
    )


@pytest.mark.parametrize("speed", [0.97, 1.0, 1.02])
def test_sparsity_without_speed_is_said_to_bring_none(speed: float):
    text = said(family(sparse_speed=speed))
    assert "Sparsity brings no speed here" in text
    assert "Zeros reduce the compressed size of the sparse model: 69.0 MB on disk, 20.7 MB deflated." in text


def test_sparsity_with_speed_is_not_denied():
    assert "The sparse model is faster than the dense one" in said(family(sparse_speed=1.5))


def test_a_sparse_model_that_is_faster_at_one_batch_size_alone_was_so_by_chance():
    found = benchmark(
        [
            measured("teacher", "torch", role="teacher", metric=0.9, milliseconds={1: 4, 8: 20, 32: 80}),
            measured("sparse", "torch", role="sparse", metric=0.9, milliseconds={1: 3.6, 8: 20, 32: 80}),
        ]
    )
    assert any("Sparsity brings no speed here" in sentence for sentence in found.words)


def test_a_sparse_model_of_another_shape_is_not_compared_with_the_dense_one():
    found = benchmark(
        [
            measured("teacher", "torch", role="teacher", metric=0.9, milliseconds={1: 10}),
            measured("sparse", "torch", role="sparse", metric=0.9, milliseconds={1: 5}, megabytes=40),
        ]
    )
    assert "dense" not in said(found)


def test_the_reference_is_named_and_so_is_the_teachers_own_fastest_runtime():
    text = said(family())
    assert "Speed over the teacher compares with the teacher in FP32 and torch eager" in text
    assert "INT8 in onnxruntime runs at 4." in text
    assert "the speed of the teacher's own fastest runtime (openvino) at batch 1." in text


def test_the_headline_tells_speed_size_and_accuracy():
    text = headline(family(int8_speed=2.0))
    assert text == "INT8 in onnxruntime: 8.0x faster than the teacher at batch 1, 5.1x smaller, -0.1 points of accuracy"


def test_the_headline_admits_what_is_slower_and_larger():
    found = benchmark(
        [
            measured("teacher", "torch", role="teacher", metric=0.9, milliseconds={1: 10}, megabytes=10),
            measured("student", "torch", role="student", metric=0.92, milliseconds={1: 20}, megabytes=40),
        ]
    )
    text = headline(found)
    assert "2.0x slower than the teacher" in text and "4.0x larger" in text and "+2.0 points" in text


def test_a_teacher_alone_has_a_headline_and_words():
    found = benchmark([measured("teacher", "torch", role="teacher", metric=0.9, milliseconds={1: 10})])
    assert headline(found).startswith("Teacher in torch: 100 sentences per second at batch 1")
    assert found.words


@pytest.mark.parametrize(("flags", "missing"), [(("avx2",), True), (("avx2", "avx512_vnni", "avx512_bf16"), False)])
def test_the_cpu_decides_what_is_said_about_int8_and_bf16(flags: tuple[str, ...], missing: bool):
    text = said(benchmark(family().candidates, flags=flags))
    assert ("This CPU has no INT8 dot products" in text) is missing
    assert ("BF16 was not measured" in text) is missing


def test_a_busy_machine_and_few_calls_are_admitted():
    busy = benchmark(
        [measured("teacher", "torch", role="teacher", metric=0.9, milliseconds={1: 10}, noise=0.9, calls=2)]
    )
    assert "The machine was busy" in said(busy)
    assert "come from only 20 calls at batch 1" in said(busy)
    assert "machine was busy" not in said(family()) and "p99 figures come" not in said(family())


def test_figures_are_written_as_people_write_them():
    assert [format_change(value, 0.9, "accuracy") for value in (0.9, 0.89, 0.9004)] == [
        "±0.0 points",
        "-1.0 points",
        "±0.0 points",
    ]
    assert [format_change(value, 0.9, "pearson") for value in (0.9, 0.89, 0.9004)] == ["±0.000", "-0.010", "±0.000"]
    assert format_quotient(96.3508, "faster", "slower") == "96.4x faster"  # Rounded once, as on the cards.
    assert format_quotient(1.996, "faster", "slower") == "2.0x faster"
    assert [
        format_quotient(4.0, "faster", "slower"),
        format_quotient(0.5, "faster", "slower"),
        format_quotient(1.0, "faster", "slower"),
    ] == [
        "4.0x faster",
        "2.0x slower",
        "no faster",
    ]
    assert [join_with_and([1]), join_with_and([1, 2]), join_with_and([1, 2, 3])] == ["1", "1 and 2", "1, 2 and 3"]
    assert [format_size(17_500_000), format_size(40_000)] == ["17.5 MB", "40.0 kB"]
