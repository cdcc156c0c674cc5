"""Stratified limits and splits keep their promises for any data; duplicates are found exactly."""

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.errors import UserError
from compaware.components.data_prep.rows import drop_duplicates, limit_rows, split_validation


def _table(labels: list[int] | list[float], word: str = "row") -> pa.Table:
    return pa.table({"text": [f"{word} {index}" for index in range(len(labels))], "label": labels})


LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=120)


@settings(deadline=None)
@given(labels=LABELS, rows=st.integers(1, 130), seed=st.integers(0, 5))
def test_a_limit_keeps_order_and_proportions(labels: list[int], rows: int, seed: int) -> None:
    table = _table(labels)
    kept = limit_rows(table, rows, seed)
    assert kept.num_rows == min(rows, len(labels))
    places = [int(text.split()[1]) for text in kept.column("text").to_pylist()]
    assert places == sorted(set(places))
    before, after = Counter(labels), Counter(kept.column("label").to_pylist())
    if rows >= len(before):
        assert set(after) == set(before)
    if rows >= 5 * len(labels) // min(before.values()):
        assert all(abs(after[label] - before[label] * kept.num_rows / len(labels)) < 1 for label in before)


def test_a_limit_is_the_same_for_the_same_seed_only() -> None:
    table = _table([0, 1] * 200)
    assert limit_rows(table, 50, 1).equals(limit_rows(table, 50, 1))
    assert not limit_rows(table, 50, 1).equals(limit_rows(table, 50, 2))


def test_a_limit_of_regression_rows_covers_the_range() -> None:
    targets = [index / 10 for index in range(1000)]
    kept = limit_rows(_table(targets), 20, 0).column("label").to_pylist()
    assert Counter(int(target // 10) for target in kept) == dict.fromkeys(range(10), 2)


@settings(deadline=None)
@given(labels=st.lists(st.integers(0, 3), min_size=8, max_size=120), fraction=st.floats(0.05, 0.6))
def test_a_made_validation_split_leaves_every_class_in_training(labels: list[int], fraction: float) -> None:
    table = _table(labels)
    splits = split_validation(table, fraction, seed=3)
    assert splits["train"].num_rows + splits["validation"].num_rows == len(labels)
    texts = [text for split in splits.values() for text in split.column("text").to_pylist()]
    assert len(set(texts)) == len(labels)
    assert set(splits["train"].column("label").to_pylist()) == set(labels)
    assert splits["validation"].num_rows >= 1


def test_too_few_rows_cannot_be_split() -> None:
    with pytest.raises(UserError, match="too few to take a validation split"):
        split_validation(_table([0, 1]), 0.1, seed=0)


def test_duplicates_of_validation_are_dropped_and_others_reported() -> None:
    tables = {
        "train": pa.table({"text": ["a", "b", "b", "c", "d", "A"], "label": [0, 1, 0, 1, 1, 0]}),
        "validation": pa.table({"text": ["a", "c", "x"], "label": [0, 0, 1]}),
        "test": pa.table({"text": ["d"], "label": [1]}),
    }
    kept, found = drop_duplicates(tables, keep=False)
    assert kept["train"].column("text").to_pylist() == ["b", "b", "d", "A"]
    assert (found.found, found.dropped, found.within_training, found.in_test) == (2, 2, 1, 1)
    # b within training, c between the two.
    assert found.conflicting == 2
    assert len(found.notes()) == 4
    kept, found = drop_duplicates(tables, keep=True)
    assert (kept["train"].num_rows, found.found, found.dropped) == (6, 2, 0)


def test_a_pair_is_a_duplicate_only_as_a_whole() -> None:
    train = pa.table({"text": ["a", "a"], "text_pair": ["b", "c"], "label": [0, 1]})
    validation = pa.table({"text": ["a", "b"], "text_pair": ["c", "a"], "label": [1, 0]})
    kept, _ = drop_duplicates({"train": train, "validation": validation}, keep=False)
    assert kept["train"].column("text_pair").to_pylist() == ["b"]


def test_a_training_split_of_duplicates_only_is_refused() -> None:
    table = _table([0, 1])
    with pytest.raises(UserError, match="every training row is in validation"):
        drop_duplicates({"train": table, "validation": table}, keep=False)
