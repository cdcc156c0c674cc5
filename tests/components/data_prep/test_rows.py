"""Stratified limits hold for any data; duplicates are found exactly."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.held_out import take_split
from compaware.components.data_prep.rows import drop_duplicates, limit_rows
from compaware.components.data_prep.split import Split


def _split(texts: list[str], labels: list[int] | list[float], pairs: list[str] | None = None) -> Split:
    columns = {"text": texts} | ({"text_pair": pairs} if pairs else {})
    return Split.whole(pa.table(columns), np.array(labels))


def _numbered(labels: list[int] | list[float]) -> Split:
    return _split([f"row {index}" for index in range(len(labels))], labels)


def _column(split: Split, name: str = "text") -> list[str]:
    return [value for table in split.tables() for value in table.column(name).to_pylist()]


LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=120)


@settings(deadline=None)
@given(labels=LABELS, rows=st.integers(1, 130), seed=st.integers(0, 5))
def test_a_limit_keeps_order_and_proportions(labels: list[int], rows: int, seed: int) -> None:
    split = _numbered(labels)
    kept = limit_rows(split, rows, seed)
    assert kept.num_rows == min(rows, len(labels))
    places = [int(text.split()[1]) for text in _column(kept)]
    assert places == sorted(set(places))
    before, after = Counter(labels), Counter(kept.labels)
    if rows >= len(before):
        assert set(after) == set(before)
    if rows >= 5 * len(labels) // min(before.values()):
        assert all(abs(after[label] - before[label] * kept.num_rows / len(labels)) < 1 for label in before)


@settings(deadline=None)
@given(labels=st.lists(st.integers(0, 9), min_size=1, max_size=300), rows=st.integers(1, 300), seed=st.integers(0, 99))
def test_a_limit_takes_the_first_rows_of_each_class_in_shuffled_order(labels: list[int], rows: int, seed: int) -> None:
    kept = limit_rows(_numbered(labels), rows, seed)
    room = Counter(kept.labels.tolist())
    drawn = []
    for index in np.random.RandomState(seed).permutation(len(labels)).tolist():
        if room[labels[index]]:
            room[labels[index]] -= 1
            drawn.append(index)
    assert kept.rows.tolist() == sorted(drawn)


def test_a_seed_always_draws_the_same_rows() -> None:
    assert limit_rows(_numbered([0, 1, 2] * 8), 6, 42).rows.tolist() == [0, 8, 11, 13, 16, 18]
    splits, _ = take_split(_numbered([index / 7 for index in range(40)]), "validation", 10, 7)
    assert splits["validation"].rows.tolist() == [1, 5, 9, 13, 17, 22, 27, 29, 34, 37]


def test_a_limit_depends_on_the_seed() -> None:
    split = _numbered([0, 1] * 200)
    assert _column(limit_rows(split, 50, 1)) == _column(limit_rows(split, 50, 1))
    assert _column(limit_rows(split, 50, 1)) != _column(limit_rows(split, 50, 2))


def test_a_limit_of_regression_rows_covers_the_range() -> None:
    targets = [index / 10 for index in range(1000)]
    kept = limit_rows(_numbered(targets), 20, 0).labels.tolist()
    assert Counter(int(target // 10) for target in kept) == dict.fromkeys(range(10), 2)
    # Fewer rows than ranges are not the lowest ones.
    kept = limit_rows(_numbered(targets), 4, 0).labels.tolist()
    assert Counter(int(target // 25) for target in kept) == dict.fromkeys(range(4), 1)


def test_rows_that_would_flatter_a_score_are_dropped_and_other_duplicates_reported() -> None:
    splits = {
        "train": _split(["a", "b", "b", "c", "d", "A"], [0, 1, 0, 1, 1, 0]),
        "validation": _split(["a", "c", "x"], [0, 0, 1]),
        "test": _split(["d", "x"], [1, 0]),
    }
    kept, duplicates = drop_duplicates(splits, keep=False)
    assert _column(kept["train"]) == ["b", "b", "A"]
    # Validation decides, so it keeps the rows that test has, too.
    assert (_column(kept["validation"]), _column(kept["test"])) == (["a", "c", "x"], ["d"])
    # b within training, c between training and validation, x between validation and test.
    assert duplicates.notes() == [
        "Training rows that are also in validation: 2 (dropped).",
        "Training rows that are also in test: 1 (dropped).",
        "Test rows that are also in validation: 1 (dropped).",
        "Training rows that repeat an earlier one: 1 (kept).",
        "Texts that have different labels in different rows: 3.",
    ]
    assert (duplicates.found, duplicates.dropped) == (3, 3)
    kept, duplicates = drop_duplicates(splits, keep=True)
    assert kept == splits
    assert (duplicates.found, duplicates.dropped, duplicates.notes()[2]) == (
        *(3, 0),
        "Test rows that are also in validation: 1 (kept).",
    )


def test_mismatched_rows_that_are_in_validation_too_are_dropped_like_test_rows() -> None:
    splits = {
        "train": _split(["a", "b", "c"], [0, 1, 0]),
        "validation": _split(["d", "e"], [0, 1]),
        "validation_mismatched": _split(["b", "d", "f"], [1, 0, 1]),
        "test": _split(["f", "g"], [1, 0]),
    }
    kept, duplicates = drop_duplicates(splits, keep=False)
    assert {name: _column(split) for name, split in kept.items()} == {
        "train": ["a", "c"],
        "validation": ["d", "e"],
        "validation_mismatched": ["b", "f"],
        "test": ["f", "g"],  # Neither of the two is used for a choice.
    }
    assert duplicates.notes() == [
        "Training rows that are also in validation: 1 (dropped).",
        "Rows of validation_mismatched that are also in validation: 1 (dropped).",
    ]


def test_a_test_split_that_is_a_copy_of_validation_is_left_out() -> None:
    split = _split(["a", "b"], [0, 1])
    kept, duplicates = drop_duplicates({"train": _numbered([0, 1]), "validation": split, "test": split}, keep=False)
    assert sorted(kept) == ["train", "validation"] and duplicates.test_in_validation == 2


PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 1)), min_size=1, max_size=12)


@settings(deadline=None)
@given(rows=st.fixed_dictionaries(dict.fromkeys(("train", "validation", "validation_mismatched", "test"), PAIRS)))
def test_duplicates_match_a_naive_count(rows: dict[str, list[tuple[str, str, int]]]) -> None:
    splits = {
        name: _split(
            [row[0] for row in split_rows], [row[2] for row in split_rows], pairs=[row[1] for row in split_rows]
        )
        for name, split_rows in rows.items()
    }
    texts = {name: [row[:2] for row in split_rows] for name, split_rows in rows.items()}
    validation = {*texts["validation"], *texts["validation_mismatched"]}
    judged = {row for split_rows in rows.values() for row in split_rows}
    kept, duplicates = drop_duplicates(splits, keep=True)
    assert kept["train"].num_rows == len(rows["train"])
    assert duplicates.in_validation == sum(text in validation for text in texts["train"])
    assert duplicates.within_training == len(texts["train"]) - len(set(texts["train"]))
    assert duplicates.conflicting == sum(count > 1 for count in Counter(row[:2] for row in judged).values())
    assert duplicates.in_test == sum(text in texts["test"] for text in texts["train"])
    assert duplicates.test_in_validation == sum(text in texts["validation"] for text in texts["test"])
    mismatched = sum(text in texts["validation"] for text in texts["validation_mismatched"])
    assert duplicates.mismatched_in_validation == mismatched
    left = [text for text in texts["train"] if text not in validation.union(texts["test"])]
    assert duplicates.found == len(texts["train"]) - len(left)
    if left:
        kept, _ = drop_duplicates(splits, keep=False)
        assert list(zip(_column(kept["train"]), _column(kept["train"], "text_pair"), strict=True)) == left
        assert kept["validation"] is splits["validation"]
        for name in ("validation_mismatched", "test"):
            left = [text[0] for text in texts[name] if text not in texts["validation"]]
            assert (_column(kept[name]) if name in kept else []) == left


def test_a_pair_is_a_duplicate_only_as_a_whole() -> None:
    train = _split(["a", "a"], [0, 1], pairs=["b", "c"])
    validation = _split(["a", "b"], [1, 0], pairs=["c", "a"])
    kept, _ = drop_duplicates({"train": train, "validation": validation}, keep=False)
    assert _column(kept["train"], "text_pair") == ["b"]


def test_a_training_split_of_duplicates_only_is_refused() -> None:
    split = _numbered([0, 1])
    with pytest.raises(UserError, match="every training row is in validation"):
        drop_duplicates({"train": split, "validation": split}, keep=False)
