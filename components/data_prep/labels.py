"""Labels as the artifact holds them: indices or lists of them, with names in a stable order, or numbers."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.core.dataset import ProblemType
from compaware.components.core.errors import UserError
from compaware.components.data_prep.label_notes import LOOKS_MISSING, counted, fold, note_names, short, shown
from compaware.components.data_prep.listed import has_lists, read_lists, read_vectors

# Test splits are published with this in place of labels.
_WITHHELD = ("-1", "-1.0", -1)
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
# Of fewer rows it says little that each has a label of its own.
_FEW_ROWS = 10
# A label as read: parsed to a number where the whole column is numbers.
Value = str | int | float


@dataclass(frozen=True)
class Labels:
    """Encoded labels.

    Attributes:
        problem_type: What the labels are.
        names: Names of the classes or labels in index order; empty for regression.
        arrays: For each split, (rows,) int64 class indices or float64 numbers, or for multi-label data (rows, labels)
            int8 of 0 and 1.
        rows: For a split of which rows were left out, those that stay.
        notes: What was left out or taken for granted.
    """

    problem_type: ProblemType
    names: list[str]
    arrays: dict[str, np.ndarray]
    rows: dict[str, np.ndarray]
    notes: list[str]


@dataclass(frozen=True)
class _Column:
    """The labels of a split as read: each one once, so that no row costs a Python object.

    Attributes:
        values: The labels that occur, in no order; one may be there in several spellings.
        codes: (entries,) index into `values`: one entry a row, or in a column of lists any number.
        rows: (entries,) the row of each entry of a column of lists; None where entry and row are the same.
        num_rows: Rows of the column.
    """

    values: list[Any]
    codes: np.ndarray
    rows: np.ndarray | None
    num_rows: int

    def find(self, wrong: Callable[[Any], bool]) -> tuple[int, Any] | None:
        """The number, from 1, and the label of the first row with a label that is wrong."""
        entries = np.flatnonzero(np.array([wrong(value) for value in self.values], bool)[self.codes])
        if not len(entries):
            return None
        rows = entries if self.rows is None else self.rows[entries]
        return int(rows.min()) + 1, self.values[self.codes[entries[rows.argmin()]]]

    def without(self, wrong: Callable[[Any], bool]) -> tuple["_Column", np.ndarray]:
        """Leaves out the rows with a label that is wrong; also gives the rows that stay."""
        entries = np.array([wrong(value) for value in self.values], bool)[self.codes]
        kept = np.ones(self.num_rows, bool)
        kept[np.flatnonzero(entries) if self.rows is None else self.rows[entries]] = False
        stay = kept if self.rows is None else kept[self.rows]
        used, codes = np.unique(self.codes[stay], return_inverse=True)
        rows = None if self.rows is None else (kept.cumsum() - 1)[self.rows[stay]]
        return _Column([self.values[code] for code in used], codes, rows, int(kept.sum())), np.flatnonzero(kept)

    def encode(self, encoded: Sequence[float], dtype: type[np.generic]) -> np.ndarray:
        """(entries,) what each label is encoded as, given that for `values`."""
        return np.array(encoded, dtype)[self.codes]


def encode_labels(
    columns: dict[str, pa.ChunkedArray],
    problem_type: ProblemType | None,
    label_names: list[str] | None,
    *,
    numbers_are_names: bool = False,
) -> Labels:
    """Turns source labels into class indices, lists of labels into zeros and ones, or labels into numbers.

    Rows of the test split whose label is withheld are left out, and with all of them the split. Texts that are lists,
    and vectors of 0 and 1, are lists of labels.

    Args:
        columns: The label column of each split; `train` decides what the labels are.
        problem_type: When None, lists mean multi-label data, fractions regression and anything else classes.
        label_names: Class names in index order; labels are these names, or indices into them. When None, the labels
            of the training split are the names: integers in the order of numbers, texts in that of letters.
        numbers_are_names: Whether numbers that are all among `label_names` are names; they are indices otherwise.

    Raises:
        UserError: A label is missing, out of range, not a number, or unknown in the training split.
    """
    is_asked = problem_type is not None
    notes: list[str] = []
    if problem_type in (None, "multi_label_classification"):
        if listed := read_lists(columns, separated=is_asked):
            columns, notes = listed
        if has_lists(columns["train"]):
            problem_type = "multi_label_classification"
            if vectors := read_vectors(columns, label_names):
                columns, label_names, said = vectors
                numbers_are_names = False
                notes += said
    found, rows, said = _read(columns, lists=problem_type == "multi_label_classification", known=label_names or [])
    notes += said
    if label_names and numbers_are_names and {str(value) for value in found["train"].values} <= set(label_names):
        found = {split: replace(column, values=list(map(str, column.values))) for split, column in found.items()}
    train = found["train"]
    fractions = bool(train.values) and all(isinstance(value, float) for value in train.values)
    if problem_type is None:
        problem_type = "regression" if fractions and not label_names else "classification"
    if problem_type == "regression":
        if label_names:
            raise UserError("label_names is for classes: leave it out for regression")
        arrays = {split: _numbers(column, split) for split, column in found.items()}
        return Labels(problem_type, [], arrays, rows, notes)
    if fractions and problem_type == "multi_label_classification":
        raise UserError("the lists hold fractions: give lists of labels, or of 0 and 1 for each label")
    if fractions:
        raise UserError("the labels are fractions: set problem_type=regression, or another label_column")
    if problem_type == "multi_label_classification":
        names, arrays, said = _multi_label(found, label_names)
        notes += said
    else:
        if not label_names:
            _check_repeated(train, is_asked=is_asked)
        names, index = _classes(train.values, label_names)
        given = bool(label_names)
        arrays = {split: _indices(column, split, index, names, given=given) for split, column in found.items()}
    if not label_names:
        notes += note_names(names, arrays["train"])
    return Labels(problem_type, names, arrays, rows, notes)


def reorder_labels(labels: Labels, names: list[str], order: list[int]) -> Labels:
    """Gives classes or labels the indices that they have in `names`.

    Args:
        labels: Encoded labels of classes.
        names: Their names in another order.
        order: For each of these, its index in `labels`.
    """
    lists = labels.problem_type == "multi_label_classification"
    places = np.argsort(order)
    arrays = {split: array[:, order] if lists else places[array] for split, array in labels.arrays.items()}
    return replace(labels, names=names, arrays=arrays)


def _multi_label(
    found: dict[str, _Column], label_names: list[str] | None
) -> tuple[list[str], dict[str, np.ndarray], list[str]]:
    if not found["train"].values:
        raise UserError("no row of the train split has a label: give lists of labels, some with one")
    names, index = _classes(found["train"].values, label_names)
    arrays = {}
    for split, column in found.items():
        array = np.zeros((column.num_rows, len(names)), np.int8)
        array[column.rows, _indices(column, split, index, names, given=bool(label_names))] = 1
        arrays[split] = array
    train = arrays["train"].sum(axis=1)
    unlabelled = f", {np.count_nonzero(train == 0)} have none" if (train == 0).any() else ""
    note = f"Training rows have {train.mean():.2f} labels on average and {train.max()} at most{unlabelled}."
    return names, arrays, [note]


def _check_repeated(train: _Column, *, is_asked: bool) -> None:
    """Refuses classes that hardly any two rows share: free text, identifiers, prices."""
    rows, different = len(train.codes), len(train.values)
    if any(isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value) for value in train.values) and all(
        _as_float(str(value).replace(",", ".")) is not None for value in train.values
    ):
        raise UserError("the labels are numbers with decimal commas: write them with points (1.5, not 1,5)")
    if is_asked or rows < _FEW_ROWS or 2 * different <= rows:
        return
    numbers = all(_as_float(value) is not None for value in train.values)
    remedy = "set problem_type=regression for numbers, or another label_column" if numbers else "set label_column"
    raise UserError(
        f"the {rows} training rows have {different} different labels, most rows one of their own "
        f"({shown(map(str, train.values))}): {remedy}, or problem_type=classification for classes"
    )


def _read(
    columns: dict[str, pa.ChunkedArray], *, lists: bool, known: list[str]
) -> tuple[dict[str, _Column], dict[str, np.ndarray], list[str]]:
    """Reads all labels; they are numbers only where all splits agree that they are.

    Returns:
        The labels; the rows that have some, of a split where others have none; notes.
    """
    found: dict[str, _Column] = {}
    rows: dict[str, np.ndarray] = {}
    notes = []
    # The training split decides which labels there are.
    for split in sorted(columns, key=lambda name: name != "train"):
        column = columns[split]
        if lists and not has_lists(column):
            raise UserError(
                f"the labels of the {split} split are {column.type}, not lists: name columns of 0 and 1 by "
                "label_names, or another label_column"
            )
        read = _distinct_in_lists(column) if lists else _distinct(column)
        if split == "test":
            read, kept = read.without(partial(_is_withheld, labels={*map(str, found["train"].values), *known}))
            if not len(read.codes):
                notes.append("The test split has no labels and is left out.")
                continue
            if left_out := len(column) - len(kept):
                rows[split] = kept
                notes.append(f"{left_out} of {len(column)} test rows have no label and are left out.")
        wrong = read.find(lambda value: _is_missing(value) or not isinstance(value, str | int | float))
        if wrong:
            row, value = wrong
            if _is_missing(value):
                raise UserError(f"row {row} of the {split} split has no label: fill it in or leave the row out")
            hint = ": set problem_type=multi_label_classification" if isinstance(value, list) and not lists else ""
            raise UserError(f"row {row} of the {split} split has a {type(value).__name__} as its label{hint}")
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


def _check_gaps(found: dict[str, _Column]) -> None:
    """Refuses a word for a missing value ("n/a") where all other labels are numbers, some with a fraction."""
    values = [value for column in found.values() for value in column.values]
    numbers = [number for value in values if (number := _as_float(value)) is not None]
    if not numbers or all(map(float.is_integer, numbers)):
        return
    if all(_as_float(value) is not None or fold(str(value)) in LOOKS_MISSING for value in values):
        for split, column in found.items():
            if gap := column.find(lambda value: _as_float(value) is None):
                raise UserError(
                    f"row {gap[0]} of the {split} split has the label '{gap[1]}' where others are numbers: "
                    "fill it in or leave the row out"
                )


def _distinct_in_lists(column: pa.ChunkedArray) -> _Column:
    lists = column.combine_chunks()
    entries = pc.list_flatten(lists)
    inside = _distinct(pa.chunked_array([entries])) if len(entries) else _Column([], np.empty(0, np.int32), None, 0)
    # A row without a list has one entry that is missing; a row with an empty one has none.
    missing = np.flatnonzero(column.is_null().to_numpy())
    values = [*inside.values, None] if len(missing) else inside.values
    codes = np.append(inside.codes, np.full(len(missing), len(values) - 1, inside.codes.dtype))
    return _Column(values, codes, np.append(pc.list_parent_indices(lists).to_numpy(), missing), len(column))


def _distinct(column: pa.ChunkedArray) -> _Column:
    if pa.types.is_dictionary(column.type):
        # Its values need not occur, or only once.
        column = column.cast(column.type.value_type)
    try:
        encoded = column.dictionary_encode(null_encoding="encode").combine_chunks()
    except pa.ArrowNotImplementedError:
        # Lists and the like, which are no labels: any of them stands for all.
        valid = column.is_valid().to_numpy()
        example = column.drop_null()[0].as_py() if valid.any() else None
        return _Column([None, example], valid.astype(np.int32), None, len(column))
    values = [str(value).lower() if isinstance(value, bool) else value for value in encoded.dictionary.to_pylist()]
    return _Column(values, encoded.indices.to_numpy(), None, len(column))


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def _numeric(values: list[Value]) -> Sequence[Value] | None:
    """All values as integers or, where some have a fraction, as floats; None where they are texts ("01" is one)."""
    integers = [number for value in values if (number := _as_int(value)) is not None]
    if len(integers) == len(values):
        return integers
    floats = [real for value in values if (real := _as_float(value)) is not None]
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


def _as_float(value: Value) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _numbers(column: _Column, split: str) -> np.ndarray:
    wrong = column.find(lambda value: _as_float(value) is None)
    if wrong:
        row, value = wrong
        raise UserError(f"row {row} of the {split} split has the label '{short(value)}': regression needs numbers")
    return column.encode([float(value) for value in column.values], np.float64)


def _classes(train: list[Value], label_names: list[str] | None) -> tuple[list[str], dict[Value, int]]:
    """Class names, and the index of each label that may occur."""
    if label_names is None:
        ordered = sorted(set(train), key=lambda value: (isinstance(value, str), value))
        return [str(value) for value in ordered], {value: index for index, value in enumerate(ordered)}
    if isinstance(train[0], str):
        return label_names, {name: index for index, name in enumerate(label_names)}
    return label_names, {index: index for index in range(len(label_names))}


def _indices(column: _Column, split: str, index: dict[Value, int], names: list[str], *, given: bool) -> np.ndarray:
    wrong = column.find(lambda value: value not in index)
    if wrong:
        row, value = wrong
        label, classes = short(str(value)), counted(names, "class")
        alike = next((name for name in names if fold(name) == fold(str(value))), None)
        if isinstance(value, str) and alike:
            reason = f"which differs from '{short(alike)}' in blanks, capitals or Unicode form: write it alike"
        elif not given:
            reason = f"which the training split lacks: it has {classes}"
        elif isinstance(value, str):
            reason = f"which is none of {shown(names)}"
        else:
            reason = f"which is out of range: {classes} are 0 to {len(names) - 1}"
        raise UserError(f"row {row} of the {split} split has the label '{label}', {reason}")
    return column.encode([index[value] for value in column.values], np.int64)
