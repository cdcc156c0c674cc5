"""Suspicious labels are noted or refused: spellings of one name, missing values, several labels in one text."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.labels import Labels, encode_labels
from tests.components.data_prep.conftest import Prepare, write_csv


def _encode(train: Sequence[Any], problem_type: Any = None, names: Any = None, **splits: Sequence[Any]) -> Labels:
    columns = {"train": train} | splits
    return encode_labels({name: pa.chunked_array([pa.array(values)]) for name, values in columns.items()},
                         problem_type, names)  # fmt: skip


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["pos", "Pos ", "neg"], "'Pos ', 'pos' differ only in spelling .whitespace"),
        (["caf\u00e9", "cafe\u0301", "bar"], r"'cafe\\u0301', 'caf\\xe9' differ only in spelling"),
        (["not_spam", "not spam", "spam"], "'not spam', 'not_spam' differ only"),
        (["1", "1.0", "two"], "'1', '1.0' differ only"),
        (["zero\u200bwidth", "zerowidth"], r"'zero\\u200bwidth' differ only"),
        (["nan", "joy"], "'nan' of 5 training rows looks like a missing value"),
        (["N/A", "joy"], "'N/A' of 5 training rows looks like a missing value"),
        (["-", "joy"], "'-' of 5 training rows looks like a missing value"),
        (["joy", "anger", "joy|anger"], r"1 label looks like several labels separated by '\|' \('joy\|anger'\)"),
        (["a,b", "a,c", "b,c"], "3 labels look like several labels separated by ','"),
        (["[joy, anger]", "joy"], r"1 label looks like a list \('\[joy, anger\]'\)"),
    ],
)
def test_suspicious_names_get_a_note(names: list[str], expected: str) -> None:
    labels = _encode(names * 5)
    assert len(labels.names) == len(names)
    assert len(labels.notes) == 1
    assert re.search(expected, labels.notes[0])


@pytest.mark.parametrize(
    "names",
    [
        ["C", "C++", "C#"],
        ["+1", "-1", "0"],
        ["Business, Economy", "Sports"],
        ["A/B", "C"],
        ["👍", "👎"],
        ["是", "否"],
        ["(other)", "news"],
        ["10000000000000000000000001", "10000000000000000000000002"],
    ],
)
def test_similar_names_that_differ_get_no_note(names: list[str]) -> None:
    assert _encode(names * 5).notes == []


def test_many_whole_numbers_get_a_note_about_amounts() -> None:
    (note,) = _encode([row % 30 for row in range(300)]).notes
    assert "30 different whole numbers and are used as classes: for amounts, set problem_type=regression" in note


def test_names_from_the_user_get_no_note() -> None:
    assert _encode(["none", "None"] * 5, names=["none", "None"]).notes == []


@pytest.mark.parametrize(
    "cells",
    [
        ["['joy', 'anger']", "['joy']", "[]"],
        ['["joy", "anger"]', '["joy"]', "[]"],
        ["['joy'\n 'anger']", "['joy']", "[]"],
        ["('joy', 'anger')", "('joy',)", "()"],
        ["{'joy', 'anger'}", "{'joy'}", "set()"],
    ],
)
def test_lists_written_as_text_are_read_as_lists(cells: list[str]) -> None:
    labels = _encode(cells * 5, validation=["['anger']"])
    assert (labels.problem_type, labels.names) == ("multi_label_classification", ["anger", "joy"])
    assert labels.arrays["train"][:3].tolist() == [[1, 1], [0, 1], [0, 0]]
    assert labels.arrays["validation"].tolist() == [[1, 0]]
    assert "lists written as text" in labels.notes[0]
    # It can be overruled.
    assert len(_encode(cells * 5, "classification").names) == 3


@pytest.mark.parametrize("cells", [["joy|anger", "joy", ""], ["joy, anger", "joy", ""], ["[joy; anger]", "joy", "[]"]])
def test_separated_labels_are_split_if_the_problem_is_multi_label(cells: list[str]) -> None:
    labels = _encode(cells * 5, "multi_label_classification")
    assert labels.names == ["anger", "joy"]
    assert labels.arrays["train"][:3].tolist() == [[1, 1], [0, 1], [0, 0]]
    assert "are separated by" in labels.notes[0]


@pytest.mark.parametrize("rows", [[[0, 1, 0], [1, 1, 0]], [[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]], ["[0, 1, 0]", "[1 1 0]"]])
@pytest.mark.parametrize("names", [None, ["joy", "fear", "anger"]])
def test_vectors_of_zeros_and_ones_are_not_lists_of_indices(rows: list[Any], names: list[str] | None) -> None:
    labels = _encode(rows, names=names, validation=rows[:1])
    assert labels.names == (names or ["0", "1", "2"])
    assert labels.arrays["validation"].sum() == 1
    assert labels.arrays["train"].sum(axis=1).tolist() == [1, 2]
    assert any("vectors of 3 numbers" in note for note in labels.notes)


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ([f"id-{row}" for row in range(30)], "30 training rows have 30 different labels.*label_column"),
        ([100 + row for row in range(30)], "30 different labels.*problem_type=regression"),
        ([f"${row}.50" for row in range(30)], "30 different labels.*write plain numbers for regression"),
        ([f"{row},5" for row in range(30)], r"decimal commas: use decimal points \(1.5, not 1,5\)"),
        (["0.5", "1.25", "n/a"], "row 3 of the train split has the label 'n/a', but other labels are numbers"),
        ([0.5 + row if row else -np.inf for row in range(30)], "row 1 of the train split has the label '-inf', but"),
        ([[0.2, 0.8], [0.9, 0.1]], "the lists hold fractions"),
    ],
)
def test_labels_that_cannot_be_classes_are_refused(train: list[Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected) as caught:
        _encode(train)
    assert len(str(caught.value)) < 300


def test_a_class_for_each_row_is_allowed_if_the_problem_is_classification() -> None:
    assert len(_encode([f"id-{row}" for row in range(30)], "classification").names) == 30


@pytest.mark.parametrize("withheld", [-1, None])
def test_withheld_rows_of_the_test_split_are_set_apart_and_counted(withheld: int | None) -> None:
    labels = _encode([0, 1, 2], test=[1, withheld, 2, withheld])
    assert labels.arrays["test"].tolist() == [1, 2]
    assert labels.rows["test"].tolist() == [0, 2]
    assert labels.notes == ["2 of 4 test rows have no label and become the split 'unlabelled'."]
    assert _encode([0, 1, -1], test=[1, -1]).arrays["test"].tolist() == [2, 0]
    assert _encode(["a", "b"], test=["?", "?"]).notes == [
        "The test split has no labels and becomes the split 'unlabelled'."
    ]
    assert list(_encode([["a"], ["b"]], test=["", ""]).arrays) == ["train"]
    listed = _encode([["a"], ["b"]], test=[["a", "b"], ["-1"], None, []])
    assert listed.arrays["test"].tolist() == [[1, 1], [0, 0]]
    assert listed.rows["test"].tolist() == [0, 3]
    with pytest.raises(UserError, match=r"^row 4 of the test split has the label '7'"):
        _encode([0, 1, 2], test=[-1, None, 1, 7])


def test_withheld_rows_with_a_column_for_each_label_are_set_apart(prepare: Prepare, tmp_path: Any) -> None:
    header = ("text", "toxic", "insult")
    rows = [(f"row {index}", index % 2, int(index % 3 == 0)) for index in range(40)]
    write_csv(tmp_path / "own/train.csv", rows, header)
    write_csv(tmp_path / "own/test.csv", [("one", 1, 0), ("two", -1, -1), ("three", 0, 1), ("four", 1, "")], header)
    options = {"problem_type": "multi_label_classification", "label_names": ["toxic", "insult"]}
    dataset, _ = prepare(data=str(tmp_path / "own"), **options)
    assert dataset.split("test").to_pylist() == [
        {"text": "one", "label": [1, 0]},
        {"text": "three", "label": [0, 1]},
    ]
    assert dataset.split("unlabelled").to_pylist() == [{"text": "two"}, {"text": "four"}]
    assert "2 of 4 test rows have no label and become the split 'unlabelled'." in dataset.manifest.notes
    write_csv(tmp_path / "own/test.csv", [("one", -1, -1)], header)
    dataset, _ = prepare(data=str(tmp_path / "own"), **options)
    assert list(dataset.manifest.splits) == ["train", "validation", "unlabelled"]
    assert "The test split has no labels and becomes the split 'unlabelled'." in dataset.manifest.notes


def test_a_label_spelled_differently_in_validation_is_named_with_the_known_spelling() -> None:
    with pytest.raises(UserError, match="label 'Pos', which differs from 'pos' only in whitespace, case"):
        _encode(["pos", "neg"], validation=["Pos"])


def test_splits_that_lack_a_class_are_noted(prepare: Prepare, tmp_path: Any) -> None:
    rows = [(f"row {index}", "abc"[index % 3]) for index in range(30)]
    write_csv(tmp_path / "own/train.csv", rows)
    write_csv(tmp_path / "own/dev.csv", [("one", "a"), ("two", "a")])
    write_csv(tmp_path / "own/test.csv", [("two", "a"), ("three", "b"), ("four", "a")])
    dataset, _ = prepare(data=str(tmp_path / "own"))
    assert dataset.manifest.notes[-2:] == [
        "The validation split has only the class 'a', so always predicting it makes no error there.",
        "The test split has no rows of the class 'c'.",
    ]
    assert "Test rows that are also in validation: 1 (dropped)." in dataset.manifest.notes
    write_csv(tmp_path / "own/dev.csv", [row for row in rows if row[1] == "a"])
    with pytest.raises(UserError, match="class 'a', which the training split lacks: set keep_duplicates=true"):
        prepare(data=str(tmp_path / "own"))
    assert np.unique(prepare(data=str(tmp_path / "own"), keep_duplicates=True)[0].labels("train")).tolist() == [0, 1, 2]
