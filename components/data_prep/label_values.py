"""Labels as they are read: each different one once, as text or number, and which rows have it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.label_notes import LOOKS_MISSING, fold
from compaware.components.data_prep.listed import has_lists

# Test splits are published with this in place of labels.
_WITHHELD = ("-1", "-1.0", -1)
# What stands in a column of numbers where there is none, folded.
_NO_NUMBER = LOOKS_MISSING | {"inf", "+inf", "-inf", "infinity", "-infinity"}
# How a row of a split, counted from 0, is called in a message.
NameRow = Callable[[str, int], str]
# A label as read: parsed to a number where the whole column is numbers.
Value = str | int | float


@dataclass(frozen=True)
class Column:
    """The labels of a split as read: each one once, so that no row costs a Python object.

    Attributes:
        values: The labels that occur, in no order; one may be there in several spellings.
        codes: (entries,) index into `values`: one entry a row, or in a column of lists any number.
        rows: (entries,) the row of each entry of a column of lists; None where entry and row are the same.
        num_rows: Rows of the column.
        name_row: How one of these, counted from 0, is called in a message.
    """

    values: list[Any]
    codes: np.ndarray
    rows: np.ndarray | None
    num_rows: int
    name_row: Callable[[int], str] = str

    def find(self, wrong: Callable[[Any], bool]) -> tuple[str, Any] | None:
        """The name and the label of the first row with a label that is wrong."""
        entries = np.flatnonzero(np.array([wrong(value) for value in self.values], bool)[self.codes])
        if not len(entries):
            return None
        rows = entries if self.rows is None else self.rows[entries]
        return self.name_row(int(rows.min())), self.values[self.codes[entries[rows.argmin()]]]

    def without(self, wrong: Callable[[Any], bool]) -> tuple["Column", np.ndarray]:
        """Leaves out the rows with a label that is wrong; also gives the rows that stay."""
        entries = np.array([wrong(value) for value in self.values], bool)[self.codes]
        kept = np.ones(self.num_rows, bool)
        kept[np.flatnonzero(entries) if self.rows is None else self.rows[entries]] = False
        stay = kept if self.rows is None else kept[self.rows]
        used, codes = np.unique(self.codes[stay], return_inverse=True)
        rows = None if self.rows is None else (kept.cumsum() - 1)[self.rows[stay]]
        numbers = np.flatnonzero(kept)
        values = [self.values[code] for code in used]
        return Column(values, codes, rows, len(numbers), lambda row: self.name_row(int(numbers[row]))), numbers

    def encode(self, encoded: Sequence[float], dtype: type[np.generic]) -> np.ndarray:
        """(entries,) what each label is encoded as, given that for `values`."""
        return np.array(encoded, dtype)[self.codes]


def read_columns(
    columns: dict[str, pa.ChunkedArray], *, lists: bool, known: list[str], name_row: NameRow
) -> tuple[dict[str, Column], dict[str, np.ndarray], list[str]]:
    """Reads all labels; they are numbers only where all splits agree that they are.

    Returns:
        The labels; the rows that have some, of a split where others have none; notes.
    """
    found: dict[str, Column] = {}
    rows: dict[str, np.ndarray] = {}
    notes = []
    # The training split decides which labels there are.
    for split in sorted(columns, key=lambda name: name != "train"):
        column = columns[split]
        read = _distinct_in_lists(column) if has_lists(column) and lists else _distinct(column)
        read = replace(read, name_row=partial(name_row, split))
        if split == "test":
            read, kept = read.without(partial(_is_withheld, labels={*map(str, found["train"].values), *known}))
            if not len(read.codes):
                notes.append("The test split has no labels and is left out.")
                continue
            if left_out := len(column) - len(kept):
                rows[split] = kept
                notes.append(f"{left_out} of {len(column)} test rows have no label and are left out.")
        if lists and not has_lists(column):
            raise UserError(
                f"the labels of the {split} split are {column.type}, not lists: write lists, put | between labels, or "
                "name columns of 0 and 1 by label_names"
            )
        wrong = read.find(lambda value: _is_missing(value) or not isinstance(value, str | int | float))
        if wrong:
            row, value = wrong
            if _is_missing(value):
                raise UserError(f"{row} has no label: fill it in or leave the row out")
            several = isinstance(value, list) and not lists
            remedy = "set problem_type=multi_label_classification" if several else "write texts or numbers"
            raise UserError(f"{row} has a {type(value).__name__} as its label: {remedy}, or set label_column")
        found[split] = read
    values = [value for column in found.values() for value in column.values]
    numbers = _numeric(values)
    if numbers is None and not known:
        _check_gaps(found)
    read_as = iter(numbers or map(str, values))
    found = {split: replace(read, values=[next(read_as) for _ in read.values]) for split, read in found.items()}
    return {split: found[split] for split in columns if split in found}, rows, notes


def _is_withheld(value: Any, labels: set[str]) -> bool:
    """Whether a label of the test split stands for none: missing, -1, or a word for it that is no label."""
    if _is_missing(value):
        return True
    return str(value) not in labels and (value in _WITHHELD or fold(str(value)) in LOOKS_MISSING)


def _check_gaps(found: dict[str, Column]) -> None:
    """Refuses a word for a missing value ("n/a"), or infinity, where all other labels are numbers with fractions."""
    values = [value for column in found.values() for value in column.values]
    numbers = [number for value in values if (number := as_float(value)) is not None]
    if not numbers or all(map(float.is_integer, numbers)):
        return
    if all(as_float(value) is not None or fold(str(value)) in _NO_NUMBER for value in values):
        for column in found.values():
            if gap := column.find(lambda value: as_float(value) is None):
                raise UserError(
                    f"{gap[0]} has the label '{gap[1]}' where others are numbers: fill it in or leave the row out"
                )


def _distinct_in_lists(column: pa.ChunkedArray) -> Column:
    lists = column.combine_chunks()
    entries = pc.list_flatten(lists)
    inside = _distinct(pa.chunked_array([entries])) if len(entries) else Column([], np.empty(0, np.int32), None, 0)
    # A row without a list has one entry that is missing; a row with an empty one has none.
    missing = np.flatnonzero(column.is_null().to_numpy())
    values = [*inside.values, None] if len(missing) else inside.values
    codes = np.append(inside.codes, np.full(len(missing), len(values) - 1, inside.codes.dtype))
    # Entries that lie under a missing list are not among those that list_flatten gives.
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    return Column(values, codes, np.append(np.repeat(np.arange(len(column)), lengths), missing), len(column))


def _distinct(column: pa.ChunkedArray) -> Column:
    if pa.types.is_dictionary(column.type):
        # Its values need not occur, or only once.
        column = column.cast(column.type.value_type)
    try:
        encoded = column.dictionary_encode(null_encoding="encode").combine_chunks()
    except pa.ArrowNotImplementedError:
        # Lists and the like, which are no labels: any of them stands for all.
        valid = column.is_valid().to_numpy()
        example = column.drop_null()[0].as_py() if valid.any() else None
        return Column([None, example], valid.astype(np.int32), None, len(column))
    values = [str(value).lower() if isinstance(value, bool) else value for value in encoded.dictionary.to_pylist()]
    return Column(values, encoded.indices.to_numpy(), None, len(column))


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def _numeric(values: list[Value]) -> Sequence[Value] | None:
    """All values as integers or, where some have a fraction, as floats; None where they are texts ("01" is one)."""
    integers = [number for value in values if (number := _as_int(value)) is not None]
    if len(integers) == len(values):
        return integers
    floats = [real for value in values if (real := as_float(value)) is not None]
    return floats if len(floats) == len(values) and not all(map(float.is_integer, floats)) else None


def _as_int(value: Value) -> int | None:
    """The integer that a label is; 1.0 is one, since tools write so where a neighbour is empty; "01" is a text."""
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
