"""A new validation split keeps copies of a text together and every class in both splits."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.held_out import take_split
from compaware.components.data_prep.normalize import normalize_text
from compaware.components.data_prep.rows import drop_duplicates
from compaware.components.data_prep.split import Split


def _split_rows(
    texts: list[str], labels: np.ndarray | list[int] | list[float], fraction: float, seed: int = 0
) -> list[Split]:
    split = Split.whole(pa.table({"text": texts}), np.array(labels))
    splits, _ = take_split(split, "validation", max(1, round(len(texts) * fraction)), seed)
    assert sorted([*splits["train"].rows, *splits["validation"].rows]) == list(range(len(texts)))
    return [splits["train"], splits["validation"]]


def _texts(split: Split) -> set[str]:
    return {normalize_text(text) for table in split.tables() for text in table["text"].to_pylist()}


def _copy(text: int, form: int) -> str:
    """One of three spellings of a text."""
    return [f"Text number {text}", f"text  number {text}", f" TEXT NUMBER {text}\n"][form]


# The class of each text, then rows that are copies of texts.
TABLES = st.lists(st.integers(0, 5), min_size=1, max_size=40).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(0, len(classes) - 1), st.integers(0, 2)), min_size=1, max_size=120),
    )
)


@settings(deadline=None, max_examples=300)
@given(table=TABLES, fraction=st.floats(0.01, 0.95), seed=st.integers(0, 3))
def test_every_class_of_two_texts_is_in_both_splits_and_copies_are_in_one(
    table: tuple[list[int], list[tuple[int, int]]], fraction: float, seed: int
) -> None:
    classes, rows = table
    texts = [_copy(text, form) for text, form in rows]
    labels = [classes[text] for text, _ in rows]
    of_class = defaultdict(set)
    for text, label in zip(texts, labels, strict=True):
        of_class[label].add(normalize_text(text))
    wanted = {label for label, class_texts in of_class.items() if len(class_texts) > 1}
    if not wanted:
        with pytest.raises(UserError, match="no validation split can be taken"):
            _split_rows(texts, labels, fraction, seed)
        return
    train, validation = _split_rows(texts, labels, fraction, seed)
    assert set(train.labels) == set(labels)
    assert set(validation.labels) == wanted
    assert not _texts(train) & _texts(validation)
    _, duplicates = drop_duplicates({"train": train, "validation": validation}, keep=False)
    assert duplicates.dropped == 0


@settings(deadline=None, max_examples=200)
@given(
    rows=st.lists(st.tuples(st.integers(0, 9), st.sets(st.integers(0, 4))), min_size=2, max_size=60),
    listed=st.booleans(),
    fraction=st.floats(0.05, 0.9),
)
def test_no_label_leaves_training_if_copies_of_a_text_have_different_labels(
    rows: list[tuple[int, set[int]]], listed: bool, fraction: float
) -> None:
    labels = np.array([[int(label in row_labels) for label in range(5)] for _, row_labels in rows], np.int8)
    if not listed:
        labels = labels.argmax(axis=1)
    try:
        train, validation = _split_rows([f"text {text}" for text, _ in rows], labels, fraction)
    except UserError:
        return
    assert validation.num_rows and not _texts(train) & _texts(validation)
    if listed:
        assert train.labels.any(axis=0).tolist() == labels.any(axis=0).tolist()
    else:
        assert set(train.labels) == set(labels)


@given(st.lists(st.integers(0, 3), min_size=8, max_size=120), st.floats(0.05, 0.9))
@settings(deadline=None)
def test_the_share_is_as_requested_if_classes_allow_it(labels: list[int], fraction: float) -> None:
    counts = np.bincount(labels)
    spare, shared = len(labels) - np.count_nonzero(counts), np.count_nonzero(counts > 1)
    if shared:
        _, validation = _split_rows([f"text {row}" for row in range(len(labels))], labels, fraction)
        assert validation.num_rows == min(max(round(fraction * len(labels)), shared), spare)


def test_rare_labels_and_texts_with_several_labels_are_in_both_splits_if_possible() -> None:
    # c needs the text that it shares with b, since a keeps its only other one.
    texts, labels = ["1", "2", "2", "3", "3", "4"], [0, 0, 1, 1, 2, 2]
    train, validation = _split_rows(texts, labels, 0.2)
    assert set(train.labels) == set(validation.labels) == {0, 1, 2}
    rare = np.zeros((300, 3), np.int8)
    rare[:, 0] = 1
    rare[:2, 1] = rare[2:5, 2] = 1
    train, validation = _split_rows([f"text {row}" for row in range(300)], rare, 0.1)
    assert train.labels.any(axis=0).all() and validation.labels.any(axis=0).all()
    assert validation.num_rows == 30


def test_a_text_of_many_copies_does_not_fill_validation() -> None:
    texts = ["yes"] * 500 + [f"text {row}" for row in range(500)]
    train, validation = _split_rows(texts, [0] * 750 + [1] * 250, 0.1)
    assert (validation.labels == 0).sum() == 26 and (validation.labels == 1).sum() == 25
    # Nor do all others go there, where it stays in training.
    train, validation = _split_rows(
        ["yes"] * 9000 + [f"text {row}" for row in range(1000)], [0] * 9500 + [1] * 500, 0.1
    )
    assert 100 <= validation.num_rows <= 102 and len(_texts(train)) > 890


@pytest.mark.parametrize("rows", [2, 3, 10, 15])
def test_few_rows_of_regression_can_be_split(rows: int) -> None:
    train, validation = _split_rows([f"text {row}" for row in range(rows)], [row / 7 for row in range(rows)], 0.1)
    assert 1 <= validation.num_rows <= 2 and train.num_rows


def test_a_small_split_of_regression_covers_the_range() -> None:
    _, validation = _split_rows([f"text {row}" for row in range(40)], [row / 10 for row in range(40)], 0.1)
    assert np.floor(validation.labels).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("texts", "labels", "expected"),
    [
        (["a"], [0], "1 training rows are too few"),
        (["a", "b"], [0, 1], "no class has two different texts in the 2 training rows"),
        (["a", " A"], [0, 1], "all 2 training rows have the same text"),
        (["a"] * 9, [0.5] * 9, "all 9 training rows have the same text"),
    ],
)
def test_rows_that_cannot_be_split_give_one_line_with_the_reason(
    texts: list[str], labels: list[float], expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        _split_rows(texts, labels, 0.5)
