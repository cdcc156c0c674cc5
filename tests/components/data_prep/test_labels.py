"""Labels are encoded as indices with names in a stable order, or as numbers; mistakes are named."""

import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.labels import Labels, encode_labels


def _encode(train: Sequence[Any], validation: Sequence[Any] | None = None, **options: Any) -> Labels:
    columns = {"train": train} | ({} if validation is None else {"validation": validation})
    options = {"problem_type": None, "label_names": None, **options}
    return encode_labels({split: pa.chunked_array([pa.array(values)]) for split, values in columns.items()}, **options)


@pytest.mark.parametrize(
    ("values", "names", "indices"),
    [
        (["pos", "neg", "pos"], ["neg", "pos"], [1, 0, 1]),
        ([10, 9, 10], ["9", "10"], [1, 0, 1]),
        (["10", "9"], ["9", "10"], [1, 0]),
        (["1.0", "0.0"], ["0", "1"], [1, 0]),
        ([1.0, 0.0], ["0", "1"], [1, 0]),
        ([-1, 1], ["-1", "1"], [0, 1]),
        (["01", "1"], ["01", "1"], [0, 1]),
        ([True, False], ["false", "true"], [1, 0]),
    ],
)
def test_classes_are_the_labels_in_a_stable_order(values: list[Any], names: list[str], indices: list[int]) -> None:
    labels = _encode(values)
    assert (labels.problem_type, labels.names) == ("classification", names)
    assert labels.arrays["train"].tolist() == indices
    assert labels.arrays["train"].dtype == np.int64


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20))
def test_any_text_labels_can_be_read_back_through_their_names(values: list[str]) -> None:
    texts = ["class " + value.encode("utf-8", "replace").decode() for value in values]
    labels = _encode(texts, problem_type="classification")
    assert [labels.names[index] for index in labels.arrays["train"].tolist()] == texts
    assert _encode(texts[::-1], problem_type="classification").names == labels.names


@pytest.mark.parametrize(
    ("values", "indices"),
    [(["up", "down", "up"], [1, 0, 1]), ([1, 0, 1], [1, 0, 1]), (["1", "0", "1"], [1, 0, 1])],
)
def test_given_names_are_matched_by_name_or_by_index(values: list[Any], indices: list[int]) -> None:
    labels = _encode(values, label_names=["down", "up"])
    assert labels.names == ["down", "up"]
    assert labels.arrays["train"].tolist() == indices


@pytest.mark.parametrize(
    ("values", "names", "indices"),
    [
        ([1, 3, 2], ["3", "2", "1"], [2, 0, 1]),
        (["1", "0"], ["1", "0"], [0, 1]),
        (["2.5", "1.5"], ["1.5", "2.5"], [1, 0]),
        ([[1], [1, 0]], ["1", "0"], [[1, 0], [1, 1]]),
    ],
)
def test_numbers_can_be_names(values: list[Any], names: list[str], indices: list[Any]) -> None:
    labels = _encode(values, label_names=names, numbers_are_names=True)
    assert (labels.names, labels.arrays["train"].tolist()) == (names, indices)


@pytest.mark.parametrize("names", [["1", "0"], ["-1", "0", "1"], ["2", "1", "0"], ["no", "yes"]])
def test_class_ids_stay_ids_whatever_the_names(names: list[str]) -> None:
    assert _encode([0, 1, 1], label_names=names).arrays["train"].tolist() == [0, 1, 1]
    assert _encode([[0], [1, 0]], label_names=names).arrays["train"][:, :2].tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize("values", [[0.5, 1.0, 4.75], ["0.5", "1", "4.75"]])
def test_fractions_are_regression_targets(values: list[Any]) -> None:
    labels = _encode(values)
    assert (labels.problem_type, labels.names) == ("regression", [])
    assert labels.arrays["train"].tolist() == [0.5, 1.0, 4.75]


def test_whole_numbers_can_be_regression_targets() -> None:
    labels = _encode([1, 5], problem_type="regression")
    assert labels.arrays["train"].tolist() == [1.0, 5.0]
    assert labels.arrays["train"].dtype == np.float64


def test_a_category_without_rows_is_not_a_class() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([2, 0, 2]), pa.array(["b", "never", "a"]))
    labels = encode_labels({"train": pa.chunked_array([column])}, None, None)
    assert (labels.names, labels.arrays["train"].tolist()) == (["a", "b"], [0, 1, 0])


def test_a_label_in_several_chunks_with_different_dictionaries_is_one_class() -> None:
    chunks = [pa.array(values).dictionary_encode() for values in (["b", "a"], ["a", "c", "b"])]
    labels = encode_labels({"train": pa.chunked_array(chunks)}, None, None)
    assert (labels.names, labels.arrays["train"].tolist()) == (["a", "b", "c"], [1, 0, 0, 2, 1])


def test_encoding_creates_no_python_object_per_row() -> None:
    rows = 200_000
    column = pa.chunked_array([pa.array(["negative", "neutral", "positive", "neutral"] * (rows // 4))])
    tracemalloc.start()
    try:
        encode_labels({"train": column}, None, None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 8 bytes are the class index itself; a list of the labels would take as much for its pointers alone.
    assert peak < 12 * rows


@pytest.mark.parametrize(
    ("train", "options", "names", "expected"),
    [
        ([["up", "new"], [], ["new"]], {}, ["new", "up"], [[1, 1], [0, 0], [1, 0]]),
        ([[10, 9], [9, 9], [10]], {}, ["9", "10"], [[1, 1], [1, 0], [0, 1]]),
        ([[1], [0, 1]], {"label_names": ["a", "b"]}, ["a", "b"], [[0, 1], [1, 1]]),
    ],
)
def test_lists_of_labels_become_zeros_and_ones(
    train: list[Any], options: dict[str, Any], names: list[str], expected: list[list[int]]
) -> None:
    labels = _encode(train, **options)
    assert (labels.problem_type, labels.names) == ("multi_label_classification", names)
    assert labels.arrays["train"].tolist() == expected
    assert labels.arrays["train"].dtype == np.int8
    assert "labels on average" in labels.notes[-1]


@pytest.mark.parametrize("withheld", [-1, None])
def test_a_test_split_without_labels_is_left_out_with_a_note(withheld: int | None) -> None:
    columns = {"train": pa.chunked_array([[0, 1]]), "test": pa.chunked_array([pa.array([withheld, withheld])])}
    labels = encode_labels(columns, None, None)
    assert list(labels.arrays) == ["train"]
    assert "test split has no labels" in labels.notes[0]


@pytest.mark.parametrize(
    ("train", "validation", "options", "expected"),
    [
        (["a", None], ["a"], {}, "row 2 of the train split has no label"),
        (["a", "b"], ["a", ""], {}, "row 2 of the validation split has no label"),
        (["a", "b"], ["b", "c"], {}, "row 2 of the validation split has the label 'c', which the training split lacks"),
        ([0, 1, 2], [0], {"label_names": ["a", "b"]}, r"row 3 of the train split has the label '2', .*out of range"),
        ([0, -1], [0], {"label_names": ["a", "b"]}, "label '-1', which is out of range"),
        ([["a"], None], [["a"]], {}, "row 2 of the train split has no label"),
        ([["a"], ["b", None]], [["a"]], {}, "row 2 of the train split has no label"),
        (
            [["a"], ["b"]],
            [["a"], ["b", "c"]],
            {},
            "row 2 of the validation split has the label 'c', which the training",
        ),
        (
            [[0], [1, 2]],
            [[0]],
            {"label_names": ["a", "b"]},
            r"row 2 of the train split has the label '2', .*out of range",
        ),
        ([[], []], [[]], {}, "no row of the train split has a label"),
        ([["a"]], [["a"]], {"problem_type": "classification"}, "row 1 .* a list .*multi_label_classification"),
        (
            ["a"],
            ["a"],
            {"problem_type": "multi_label_classification"},
            "labels of the train split are string, not lists",
        ),
        ([None, {"a": 1}], [{"a": 1}], {}, "row 1 of the train split has no label"),
        ([Decimal(1)], [Decimal(1)], {}, "row 1 of the train split has a Decimal as its label"),
        (["a", "x"], ["a"], {"label_names": ["a", "b"]}, "label 'x', which is none of 'a', 'b'"),
        (["1.5", "high"], ["1"], {"problem_type": "regression"}, "row 2 .* 'high': regression needs numbers"),
        (["1.5", "inf"], ["1"], {"problem_type": "regression"}, "row 2 .* 'inf', but other labels are numbers"),
        ([1.5, 2.5], [1.5], {"problem_type": "classification"}, "the labels are fractions"),
        ([1.5, 2.5], [1.5], {"problem_type": "regression", "label_names": ["a", "b"]}, "remove it for regression"),
    ],
)
def test_a_wrong_label_is_named_with_its_row(
    train: list[Any], validation: list[Any], options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        _encode(train, validation, **options)
