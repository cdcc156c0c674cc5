"""Reads label columns: the distinct labels of each split, as texts or numbers, and the rows that have them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import TEST
from compaware.components.data_prep.multi_label import has_lists
from compaware.components.data_prep.normalize import MISSING_WORDS, normalize_text

# Test splits are published with these values in place of labels.
_WITHHELD = ("-1", "-1.0", -1)
# Words in place of a missing number, normalized.
_NO_NUMBER = MISSING_WORDS | {"inf", "+inf", "-inf", "infinity", "-infinity"}
# Returns the name of a row for messages, given its split and its number, counted from 0.
NameRow = Callable[[str, int], str]
# A label: a number if the whole column holds numbers.
Value = str | int | float


@dataclass(frozen=True)
class LabelColumn:
    """The labels of a split. Each distinct label is stored once, so that rows need no Python objects.

    Attributes:
        values: The labels that occur, in any order; one label may occur in several spellings.
        codes: (entries,) index into `values`. A row has one entry; in a column of lists it has any number.
        rows: (entries,) the row of each entry of a column of lists; None if every row has one entry.
        num_rows: Rows of the column.
        name_row: Returns the name of a row, counted from 0, for messages.
    """

    values: list[Any]
    codes: np.ndarray
    rows: np.ndarray | None
    num_rows: int
    name_row: Callable[[int], str] = str

    def find_first(self, condition: Callable[[Any], bool]) -> tuple[str, Any] | None:
        """Returns the name and the label of the first row with a label for which the condition holds."""
        entries = np.flatnonzero(np.array([condition(value) for value in self.values], bool)[self.codes])
        if not len(entries):
            return None
        rows = entries if self.rows is None else self.rows[entries]
        return self.name_row(int(rows.min())), self.values[self.codes[entries[rows.argmin()]]]

    def drop_rows(self, condition: Callable[[Any], bool]) -> tuple["LabelColumn", np.ndarray]:
        """Drops the rows with a label for which the condition holds; also returns the indices of the kept rows."""
        entries = np.array([condition(value) for value in self.values], bool)[self.codes]
        is_kept = np.ones(self.num_rows, bool)
        is_kept[np.flatnonzero(entries) if self.rows is None else self.rows[entries]] = False
        kept_entries = is_kept if self.rows is None else is_kept[self.rows]
        used, codes = np.unique(self.codes[kept_entries], return_inverse=True)
        rows = None if self.rows is None else (is_kept.cumsum() - 1)[self.rows[kept_entries]]
        kept = np.flatnonzero(is_kept)
        values = [self.values[code] for code in used]
        return LabelColumn(values, codes, rows, len(kept), lambda row: self.name_row(int(kept[row]))), kept

    def encode(self, encoded_values: Sequence[float], dtype: type[np.generic]) -> np.ndarray:
        """Returns (entries,) the encoded label of each entry, given those of `values`."""
        return np.array(encoded_values, dtype)[self.codes]


def read_label_columns(
    columns: dict[str, pa.ChunkedArray], *, lists: bool, known: list[str], name_row: NameRow
) -> tuple[dict[str, LabelColumn], dict[str, np.ndarray], list[str]]:
    """Reads the labels of all splits. They are numbers only if the labels of every split are.

    Args:
        columns: The label column of each split.
        lists: Whether rows have lists of labels.
        known: The class names, if they are known.
        name_row: Names rows in messages.

    Returns:
        The labels, the indices of the kept rows of a split that lost some, and notes.

    Raises:
        UserError: A label is missing or is neither a text nor a number.
    """
    labels: dict[str, LabelColumn] = {}
    kept_rows: dict[str, np.ndarray] = {}
    notes = []
    # The training split comes first, since it decides which labels there are.
    for split in sorted(columns, key=lambda name: name != "train"):
        column = columns[split]
        read = _read_lists(column) if has_lists(column) and lists else _read_single(column)
        read = replace(read, name_row=partial(name_row, split))
        if split == TEST:
            used = {*map(str, labels["train"].values), *known, *_minus_one_as_number(labels["train"], read)}
            read, kept = read.drop_rows(partial(_is_withheld, labels=used))
            if not len(read.codes):
                notes.append("The test split has no labels and becomes the split 'unlabelled'.")
                continue
            if left_out := len(column) - len(kept):
                kept_rows[split] = kept
                notes.append(f"{left_out} of {len(column)} test rows have no label and become the split 'unlabelled'.")
        if lists and not has_lists(column):
            raise UserError(
                f"the labels of the {split} split are {column.type}, not lists: write lists, separate labels with |, "
                "or set label_names to columns of 0 and 1"
            )
        _check_values(read, lists=lists)
        labels[split] = read
    values = [value for column in labels.values() for value in column.values]
    numbers = _as_numbers(values)
    if numbers is None and not known:
        _check_missing_numbers(labels)
    converted = iter(numbers or map(str, values))
    labels = {split: replace(read, values=[next(converted) for _ in read.values]) for split, read in labels.items()}
    return {split: labels[split] for split in columns if split in labels}, kept_rows, notes


def _minus_one_as_number(train: LabelColumn, test: LabelColumn) -> tuple[str, ...]:
    """Returns the spellings of -1 if it is a number like the others: some training labels are negative, too."""
    has_negative = any((number := as_float(value)) is not None and number < 0 for value in train.values)
    others = any(value not in _WITHHELD and not _is_missing(value) for value in test.values)
    return ("-1", "-1.0") if has_negative and others else ()


def _is_withheld(value: Any, labels: set[str]) -> bool:
    """Whether a label of the test split is withheld: missing, -1, or a word for a missing value that is no label."""
    if _is_missing(value):
        return True
    return str(value) not in labels and (value in _WITHHELD or normalize_text(str(value)) in MISSING_WORDS)


def _check_values(column: LabelColumn, *, lists: bool) -> None:
    wrong = column.find_first(lambda value: _is_missing(value) or not isinstance(value, str | int | float))
    if wrong is None:
        return
    row, value = wrong
    if _is_missing(value):
        raise UserError(f"{row} has no label: add one or remove the row")
    several = isinstance(value, list) and not lists
    remedy = "set problem_type=multi_label_classification" if several else "write texts or numbers"
    raise UserError(f"{row} has a {type(value).__name__} as its label: {remedy}, or set label_column")


def _check_missing_numbers(labels: dict[str, LabelColumn]) -> None:
    """Rejects a word for a missing value ("n/a"), or infinity, if all other labels are numbers with fractions."""
    values = [value for column in labels.values() for value in column.values]
    numbers = [number for value in values if (number := as_float(value)) is not None]
    if not numbers or all(map(float.is_integer, numbers)):
        return
    if all(as_float(value) is not None or normalize_text(str(value)) in _NO_NUMBER for value in values):
        for column in labels.values():
            if wrong := column.find_first(lambda value: as_float(value) is None):
                row, value = wrong
                raise UserError(
                    f"{row} has the label '{value}', but other labels are numbers: write a number or remove the row"
                )


def _read_lists(column: pa.ChunkedArray) -> LabelColumn:
    lists = column.combine_chunks()
    entries = pc.list_flatten(lists)
    inside = (
        _read_single(pa.chunked_array([entries])) if len(entries) else LabelColumn([], np.empty(0, np.int32), None, 0)
    )
    # A row without a list gets one missing entry; a row with an empty list gets none.
    missing = np.flatnonzero(column.is_null().to_numpy())
    values = [*inside.values, None] if len(missing) else inside.values
    codes = np.append(inside.codes, np.full(len(missing), len(values) - 1, inside.codes.dtype))
    # list_flatten skips the entries below a missing list.
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    return LabelColumn(values, codes, np.append(np.repeat(np.arange(len(column)), lengths), missing), len(column))


def _read_single(column: pa.ChunkedArray) -> LabelColumn:
    if pa.types.is_dictionary(column.type):
        # A dictionary may hold values that do not occur, or hold one value twice.
        column = column.cast(column.type.value_type)
    try:
        encoded = column.dictionary_encode(null_encoding="encode").combine_chunks()
    except pa.ArrowNotImplementedError:
        # Lists and other values that cannot be labels: one example is enough for the error.
        valid = column.is_valid().to_numpy()
        example = column.drop_null()[0].as_py() if valid.any() else None
        return LabelColumn([None, example], valid.astype(np.int32), None, len(column))
    values = [str(value).lower() if isinstance(value, bool) else value for value in encoded.dictionary.to_pylist()]
    return LabelColumn(values, encoded.indices.to_numpy(), None, len(column))


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def _as_numbers(values: list[Value]) -> Sequence[Value] | None:
    """Returns integers, or floats if some value has a fraction; None if some value is text ("01" is text)."""
    integers = [integer for value in values if (integer := _as_int(value)) is not None]
    if len(integers) == len(values):
        return integers
    floats = [real for value in values if (real := as_float(value)) is not None]
    return floats if len(floats) == len(values) and not all(map(float.is_integer, floats)) else None


def _as_int(value: Value) -> int | None:
    """Returns the label as an integer; None if it is not one.

    "1.0" is an integer, since tools write integers so if another cell of the column is empty; "01" is text.
    """
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    digits = value.removesuffix(".0").removeprefix("-")
    plain = digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
    return int(value.removesuffix(".0")) if plain else None


def as_float(value: Value) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
