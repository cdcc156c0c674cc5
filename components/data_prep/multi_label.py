"""Reads cells that hold several labels: lists, lists written as text, and vectors of 0 and 1."""

import ast
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.core.data.dataset import TEST
from compaware.components.data_prep.messages import quote_names

# Separators of labels in one text, the most likely first, and the brackets that may enclose them.
SEPARATORS = ("|", ";", ",")
BRACKETS = re.compile(r"\s*[\[{(].*[\]})]\s*", re.DOTALL)


def has_lists(column: pa.ChunkedArray) -> bool:
    """Whether the column holds lists."""
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(is_kind(column.type) for is_kind in kinds)


def parse_lists(
    columns: dict[str, pa.ChunkedArray], *, separated: bool
) -> tuple[dict[str, pa.ChunkedArray], list[str]] | None:
    """Parses texts such as `['joy', 'anger']` as lists of labels.

    Args:
        columns: The label column of each split; `train` decides how to read them.
        separated: Also split texts at the separator (`|`, `;` or `,`) that they contain; an empty text has no label.

    Returns:
        The columns as lists of texts, and notes; None if the texts are not lists.
    """
    train = _distinct_texts(columns["train"])
    if train is None:
        return None
    filled = [text for text in train if text.strip()]
    if filled and all(_parse_list(text) is not None for text in filled):
        note = f"Labels are lists written as text ({quote_names(train)}); they were read as multi-label data."
        return {split: _map_texts(column, _parse_list) for split, column in columns.items()}, [note]
    if not separated:
        return None
    separator = next((separator for separator in SEPARATORS if any(separator in text for text in train)), None)
    if separator is None:
        return None

    def split_text(text: str) -> list[str]:
        inside = text.strip()[1:-1] if BRACKETS.fullmatch(text) else text
        return [label for part in inside.split(separator) if (label := part.strip().strip("'\""))]

    note = f"Labels are separated by '{separator}'; a row with an empty text has none."
    return {split: _map_texts(column, split_text) for split, column in columns.items()}, [note]


def decode_vectors(
    columns: dict[str, pa.ChunkedArray], label_names: list[str] | None
) -> tuple[dict[str, pa.ChunkedArray], list[str], list[str]] | None:
    """Decodes vectors that hold 0 or 1 for each label to lists of the labels that have 1.

    Vectors all have the same length of two or more, and hold only 0 and 1. Lists of class indices do not look like
    that, since each list would name all of its classes.

    Returns:
        The columns as lists of indices, the label names, and notes; None if the lists are not vectors.
    """
    train = columns["train"]
    length = pc.max(pc.list_value_length(train)).as_py() or 0
    if length < 2 or (label_names and len(label_names) != length) or not _are_vectors(train, length, (0, 1)):
        return None
    names = label_names or [str(index) for index in range(length)]
    decoded = {}
    for split, column in columns.items():
        if not _are_vectors(column, length, (-1, 0, 1) if split == TEST else (0, 1)):
            return None
        decoded[split] = vectors_to_lists(_to_matrix(column, length), pa.array(range(length)))
    return decoded, names, [f"Labels are vectors of {length} numbers, 0 or 1 for each label."]


def vectors_to_lists(vectors: np.ndarray, labels: pa.Array) -> pa.ChunkedArray:
    """Converts (rows, labels) of 0 and 1 to lists of labels; a row with a negative number is withheld: null."""
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


def _to_matrix(column: pa.ChunkedArray, length: int) -> np.ndarray:
    return pc.list_flatten(column).cast(pa.float64()).to_numpy().astype(np.int8).reshape(-1, length)


def _distinct_texts(column: pa.ChunkedArray) -> list[str] | None:
    """Returns the different texts of a column; None if it does not hold texts."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return None
    return [text for text in pc.unique(column.cast(pa.string())).to_pylist() if text is not None]


def _parse_list(text: str) -> list[str] | None:
    """Parses a list, tuple or set as Python, JSON or numpy write it; None if the text is none of these."""
    if not BRACKETS.fullmatch(text) and text.strip() != "set()":
        return None
    # numpy writes no commas, without which Python would join adjacent strings.
    literal = re.sub(r"""(?<=['"])\s+(?=['"])""", ", ", text)
    if re.fullmatch(r"\s*\[[-\d.\s]*\]\s*", literal):
        literal = ", ".join(literal.split()).replace("[, ", "[")
    values: Any = None
    for parse in (json.loads, ast.literal_eval):
        try:
            values = parse(literal.strip())
            break
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    if not isinstance(values, list | tuple | set):
        return None
    if not all(isinstance(value, str | int | float) for value in values):
        return None
    return [str(value) for value in values]


def _map_texts(column: pa.ChunkedArray, parse: Callable[[str], list[str] | None]) -> pa.ChunkedArray:
    """Parses each text of a column as a list; a text that is not a list becomes the only label of its row."""
    if _distinct_texts(column) is None:
        return column
    encoded = column.cast(pa.string()).dictionary_encode().combine_chunks()
    lists = []
    for text in encoded.dictionary.to_pylist():
        labels = parse(text)
        lists.append(([text] if text.strip() else None) if labels is None else labels)
    return pa.chunked_array([pa.array(lists, pa.list_(pa.string())).take(encoded.indices)])
