"""Labels as the artifact holds them: indices or lists of them, with names in a stable order, or numbers."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import ProblemType
from compaware.components.data_prep.label_notes import counted, fold, note_names, short, shown
from compaware.components.data_prep.label_values import Column, NameRow, Value, as_float, read_columns
from compaware.components.data_prep.listed import has_lists, read_lists, read_vectors

_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
# A number with a currency, a percent sign or separators.
_AMOUNT = re.compile(r"[^\w]*\d[\d.,' ]*[^\w]*")
# Of fewer rows it says little that each has a label of its own.
_FEW_ROWS = 10


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


def encode_labels(
    columns: dict[str, pa.ChunkedArray],
    problem_type: ProblemType | None,
    label_names: list[str] | None,
    *,
    numbers_are_names: bool = False,
    name_row: NameRow = lambda split, row: f"row {row + 1} of the {split} split",
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
        name_row: Names rows in messages.

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
    found, rows, said = read_columns(
        columns, lists=problem_type == "multi_label_classification", known=label_names or [], name_row=name_row
    )
    notes += said
    if label_names and numbers_are_names and {str(value) for value in found["train"].values} <= set(label_names):
        found = {split: replace(column, values=list(map(str, column.values))) for split, column in found.items()}
    train = found["train"]
    fractions = bool(train.values) and all(isinstance(value, float) for value in train.values)
    if problem_type is None:
        problem_type = "regression" if fractions and not label_names else "classification"
        if problem_type == "regression":
            notes.append("The labels are numbers with fractions, which are to be predicted as numbers (problem_type).")
    if problem_type == "regression":
        if label_names:
            raise UserError("label_names is for classes: leave it out for regression")
        arrays = {split: _numbers(column) for split, column in found.items()}
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
        arrays = {split: _indices(column, index, names, given=given) for split, column in found.items()}
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
    found: dict[str, Column], label_names: list[str] | None
) -> tuple[list[str], dict[str, np.ndarray], list[str]]:
    if not found["train"].values:
        raise UserError("no row of the train split has a label: give lists of labels, some with one")
    names, index = _classes(found["train"].values, label_names)
    arrays = {}
    for split, column in found.items():
        array = np.zeros((column.num_rows, len(names)), np.int8)
        array[column.rows, _indices(column, index, names, given=bool(label_names))] = 1
        arrays[split] = array
    train = arrays["train"].sum(axis=1)
    unlabelled = f", {np.count_nonzero(train == 0)} have none" if (train == 0).any() else ""
    note = f"Training rows have {train.mean():.2f} labels on average and {train.max()} at most{unlabelled}."
    return names, arrays, [note]


def _check_repeated(train: Column, *, is_asked: bool) -> None:
    """Refuses classes that hardly any two rows share: free text, identifiers, prices."""
    rows, different = len(train.codes), len(train.values)
    if any(isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value) for value in train.values) and all(
        as_float(str(value).replace(",", ".")) is not None for value in train.values
    ):
        raise UserError("the labels are numbers with decimal commas: write them with points (1.5, not 1,5)")
    if is_asked or rows < _FEW_ROWS or 2 * different <= rows:
        return
    remedy = "set label_column"
    if all(as_float(value) is not None for value in train.values):
        remedy = "set problem_type=regression for numbers, or another label_column"
    elif all(_AMOUNT.fullmatch(str(value)) for value in train.values):
        remedy = "write plain numbers for regression"
    raise UserError(
        f"the {rows} training rows have {different} different labels, fewer than two rows each "
        f"({shown(map(str, train.values))}): {remedy}, or problem_type=classification for classes"
    )


def _numbers(column: Column) -> np.ndarray:
    wrong = column.find(lambda value: as_float(value) is None)
    if wrong:
        row, value = wrong
        raise UserError(f"{row} has the label '{short(value)}': regression needs numbers")
    return column.encode([float(value) for value in column.values], np.float64)


def _classes(train: list[Value], label_names: list[str] | None) -> tuple[list[str], dict[Value, int]]:
    """Class names, and the index of each label that may occur."""
    if label_names is None:
        ordered = sorted(set(train), key=lambda value: (isinstance(value, str), value))
        return [str(value) for value in ordered], {value: index for index, value in enumerate(ordered)}
    if isinstance(train[0], str):
        return label_names, {name: index for index, name in enumerate(label_names)}
    return label_names, {index: index for index in range(len(label_names))}


def _indices(column: Column, index: dict[Value, int], names: list[str], *, given: bool) -> np.ndarray:
    wrong = column.find(lambda value: value not in index)
    if wrong:
        row, value = wrong
        label, classes = short(str(value)), counted(names, "class")
        alike = next((name for name in names if fold(name) == fold(str(value))), None)
        if isinstance(value, str) and alike:
            reason = f"which differs from '{short(alike)}' only in blanks, capitals or Unicode form: write it alike"
        elif not given:
            reason = f"which the training split lacks: it has {classes}"
        elif isinstance(value, str):
            reason = f"which is none of {shown(names)}"
        else:
            reason = f"which is out of range: {classes} are 0 to {len(names) - 1}"
        raise UserError(f"{row} has the label '{label}', {reason}")
    return column.encode([index[value] for value in column.values], np.int64)
