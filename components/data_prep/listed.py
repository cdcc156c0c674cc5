"""Several labels in one cell: lists that were written as text, and vectors of 0 and 1."""

import ast
import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.data_prep.label_notes import BRACKETS, SEPARATORS, shown


def has_lists(column: pa.ChunkedArray) -> bool:
    """Whether the column holds lists."""
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(column.type) for is_kind in kinds)


def read_lists(
    columns: dict[str, pa.ChunkedArray], *, separated: bool
) -> tuple[dict[str, pa.ChunkedArray], list[str]] | None:
    """Reads texts such as `['joy', 'anger']` as lists of labels.

    Args:
        columns: The label column of each split; `train` decides what they are.
        separated: Also take texts apart at the separator (`|`, `;` or `,`) that is in them; an empty one is no label.

    Returns:
        The columns as lists of texts, and notes; None where the texts are no lists.
    """
    train = _texts(columns["train"])
    if train is None:
        return None
    filled = [text for text in train if text.strip()]
    if filled and all(_parse(text) is not None for text in filled):
        note = f"Labels are lists written as text ({shown(train)}): they were read as multi-label data."
        return {split: _replace(column, _parse) for split, column in columns.items()}, [note]
    if not separated:
        return None
    separator = next((sign for sign in SEPARATORS if any(sign in text for text in train)), None)
    if separator is None:
        return None

    def split_text(text: str) -> list[str]:
        inside = text.strip()[1:-1] if BRACKETS.fullmatch(text) else text
        return [label for part in inside.split(separator) if (label := part.strip().strip("'\""))]

    note = f"Labels are separated by '{separator}'; an empty text means that a row has none."
    return {split: _replace(column, split_text) for split, column in columns.items()}, [note]


def read_vectors(
    columns: dict[str, pa.ChunkedArray], label_names: list[str] | None
) -> tuple[dict[str, pa.ChunkedArray], list[str], list[str]] | None:
    """Reads vectors that hold 0 or 1 for each label as lists of the labels that have 1.

    Vectors have all one length of two or more, and nothing but 0 and 1: as class indices, each of them would name all
    of its classes.

    Returns:
        The columns as lists of indices, the names, and notes; None where the lists are no vectors.
    """
    train = columns["train"]
    length = pc.max(pc.list_value_length(train)).as_py() or 0
    if length < 2 or (label_names and len(label_names) != length) or not _are_vectors(train, length, (0, 1)):
        return None
    names = label_names or [str(index) for index in range(length)]
    read = {}
    for split, column in columns.items():
        if not _are_vectors(column, length, (-1, 0, 1) if split == "test" else (0, 1)):
            return None
        read[split] = join_labels(_matrix(column, length), pa.array(range(length)))
    return read, names, [f"Labels are vectors of {length} numbers, 0 or 1 for each label."]


def join_labels(vectors: np.ndarray, labels: pa.Array) -> pa.ChunkedArray:
    """(rows, labels) of 0 and 1 as lists of labels; a row with a negative number is withheld: null."""
    present = vectors > 0
    ends = np.append(0, present.sum(axis=1).cumsum()).astype(np.int32)
    withheld = pa.array((vectors < 0).any(axis=1))
    lists = pa.ListArray.from_arrays(ends, labels.take(present.nonzero()[1]), mask=withheld)
    return pa.chunked_array([lists])


def _are_vectors(column: pa.ChunkedArray, length: int, allowed: tuple[int, ...]) -> bool:
    entries = pc.list_flatten(column)
    if column.null_count or entries.null_count or len(entries) != length * len(column):
        return False
    try:
        values = pc.unique(entries.cast(pa.float64())).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return bool(pc.all(pc.equal(pc.list_value_length(column), length)).as_py()) and set(values) <= set(allowed)


def _matrix(column: pa.ChunkedArray, length: int) -> np.ndarray:
    return pc.list_flatten(column).cast(pa.float64()).to_numpy().astype(np.int8).reshape(-1, length)


def _texts(column: pa.ChunkedArray) -> list[str] | None:
    """The different texts of a column; None where it holds something else."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return None
    return [text for text in pc.unique(column.cast(pa.string())).to_pylist() if text is not None]


def _parse(text: str) -> list[str] | None:
    """The labels of a list, tuple or set as Python, JSON or numpy write it; None where it is none."""
    if not BRACKETS.fullmatch(text) and text.strip() != "set()":
        return None
    # numpy puts no commas; Python would join the texts.
    written = re.sub(r"""(?<=['"])\s+(?=['"])""", ", ", text)
    if re.fullmatch(r"\s*\[[-\d.\s]*\]\s*", written):
        written = ", ".join(written.split()).replace("[, ", "[")
    values: Any = None
    for read in (json.loads, ast.literal_eval):
        try:
            values = read(written.strip())
            break
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    if not isinstance(values, list | tuple | set):
        return None
    if not all(isinstance(value, str | int | float) for value in values):
        return None
    return [str(value) for value in values]


def _replace(column: pa.ChunkedArray, read: Any) -> pa.ChunkedArray:
    """Each text as what it reads as; one that does not stays as the only label of its list."""
    if _texts(column) is None:
        return column
    encoded = column.cast(pa.string()).dictionary_encode().combine_chunks()
    lists = []
    for text in encoded.dictionary.to_pylist():
        found = read(text)
        lists.append(([text] if text.strip() else None) if found is None else found)
    return pa.chunked_array([pa.array(lists, pa.list_(pa.string())).take(encoded.indices)])
