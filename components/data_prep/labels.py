"""Encodes labels as the artifact holds them: class indices, zeros and ones for each label, or numbers."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import ProblemType
from compaware.components.data_prep.label_values import LabelColumn, NameRow, Value, as_float, read_label_columns
from compaware.components.data_prep.messages import count_names, escape_name, quote_names
from compaware.components.data_prep.multi_label import decode_vectors, has_lists, parse_lists
from compaware.components.data_prep.normalize import normalize_text
from compaware.components.data_prep.suspicious_labels import find_suspicious_names

_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
# A number with a currency, a percent sign or separators.
_AMOUNT = re.compile(r"[^\w]*\d[\d.,' ]*[^\w]*")
# In smaller data, a different label in each row is not suspicious.
_FEW_ROWS = 10


@dataclass(frozen=True)
class Labels:
    """Encoded labels.

    Attributes:
        problem_type: Kind of the labels.
        names: Names of the classes or labels in index order; empty for regression.
        arrays: For each split, (rows,) int64 class indices or float64 numbers, or for multi-label data (rows, labels)
            int8 of 0 and 1.
        rows: Indices of the kept rows, for each split from which rows were dropped.
        notes: What was dropped or assumed.
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
    """Encodes labels as class indices, lists of labels as zeros and ones, or labels as numbers.

    Drops rows of the test split whose label is withheld, and the split if no row is left. Lists written as text, and
    vectors of 0 and 1, are read as lists of labels.

    Args:
        columns: The label column of each split; `train` decides how labels are read.
        problem_type: If None, lists mean multi-label data, fractions mean regression, and anything else classes.
        label_names: Class names in index order; labels are these names, or indices into them. If None, the labels of
            the training split are the names, in ascending order.
        numbers_are_names: Whether numbers that are all among `label_names` are names; otherwise they are indices.
        name_row: Names rows in messages.

    Raises:
        UserError: A label is missing, out of range, not a number, or does not occur in the training split.
    """
    is_given = problem_type is not None
    notes: list[str] = []
    if problem_type in (None, "multi_label_classification"):
        if parsed := parse_lists(columns, separated=is_given):
            columns, notes = parsed
        if has_lists(columns["train"]):
            problem_type = "multi_label_classification"
            if decoded := decode_vectors(columns, label_names):
                columns, label_names, vector_notes = decoded
                numbers_are_names = False
                notes += vector_notes
    labels, rows, read_notes = read_label_columns(
        columns, lists=problem_type == "multi_label_classification", known=label_names or [], name_row=name_row
    )
    notes += read_notes
    if label_names and numbers_are_names and {str(value) for value in labels["train"].values} <= set(label_names):
        labels = {split: replace(column, values=list(map(str, column.values))) for split, column in labels.items()}
    if problem_type is None:
        problem_type = "regression" if _are_fractions(labels["train"]) and not label_names else "classification"
        if problem_type == "regression":
            notes.append("The labels are numbers with fractions and are treated as regression targets (problem_type).")
    _check_problem_type(labels["train"], problem_type, label_names)
    names, arrays, encoding_notes = _encode(labels, problem_type, label_names, is_given=is_given)
    return Labels(problem_type, names, arrays, rows, notes + encoding_notes)


def reorder_labels(labels: Labels, names: list[str], order: list[int]) -> Labels:
    """Gives classes or labels the indices that they have in `names`.

    Args:
        labels: Encoded labels of classes.
        names: Their names in another order.
        order: For each of these, its index in `labels`.
    """
    lists = labels.problem_type == "multi_label_classification"
    new_indices = np.argsort(order)
    arrays = {split: array[:, order] if lists else new_indices[array] for split, array in labels.arrays.items()}
    return replace(labels, names=names, arrays=arrays)


def _are_fractions(column: LabelColumn) -> bool:
    return bool(column.values) and all(isinstance(value, float) for value in column.values)


def _check_problem_type(train: LabelColumn, problem_type: ProblemType, label_names: list[str] | None) -> None:
    if problem_type == "regression":
        if label_names:
            raise UserError("label_names is for classes: remove it for regression")
    elif _are_fractions(train):
        if problem_type == "multi_label_classification":
            raise UserError("the lists hold fractions: use lists of labels, or of 0 and 1 for each label")
        raise UserError("the labels are fractions: set problem_type=regression, or another label_column")


def _encode(
    labels: dict[str, LabelColumn], problem_type: ProblemType, label_names: list[str] | None, *, is_given: bool
) -> tuple[list[str], dict[str, np.ndarray], list[str]]:
    """Returns the names of classes or labels, the encoded labels of each split, and notes."""
    if problem_type == "regression":
        return [], {split: _to_numbers(column) for split, column in labels.items()}, []
    notes = []
    if problem_type == "multi_label_classification":
        names, arrays = _encode_multi_label(labels, label_names)
        notes.append(_describe_multi_label(arrays["train"]))
    else:
        if not label_names:
            _check_repeated(labels["train"], is_given=is_given)
        names, index = _index_classes(labels["train"].values, label_names)
        given = bool(label_names)
        arrays = {split: _to_indices(column, index, names, given=given) for split, column in labels.items()}
    if not label_names:
        notes += find_suspicious_names(names, arrays["train"])
    return names, arrays, notes


def _check_repeated(train: LabelColumn, *, is_given: bool) -> None:
    """Rejects labels that hardly repeat, such as free text, identifiers and prices, unless they are given as classes.

    Decimal commas are always rejected.
    """
    rows, different = len(train.codes), len(train.values)
    if any(isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value) for value in train.values) and all(
        as_float(str(value).replace(",", ".")) is not None for value in train.values
    ):
        raise UserError("the labels are numbers with decimal commas: use decimal points (1.5, not 1,5)")
    if is_given or rows < _FEW_ROWS or 2 * different <= rows:
        return
    remedy = "set label_column"
    if all(as_float(value) is not None for value in train.values):
        remedy = "set problem_type=regression for numbers, or another label_column"
    elif all(_AMOUNT.fullmatch(str(value)) for value in train.values):
        remedy = "write plain numbers for regression"
    raise UserError(
        f"the {rows} training rows have {different} different labels, fewer than two rows per label "
        f"({quote_names(map(str, train.values))}): {remedy}, or set problem_type=classification if they are classes"
    )


def _to_numbers(column: LabelColumn) -> np.ndarray:
    wrong = column.find_first(lambda value: as_float(value) is None)
    if wrong:
        row, value = wrong
        raise UserError(f"{row} has the label '{escape_name(value)}': regression needs numbers")
    return column.encode([float(value) for value in column.values], np.float64)


def _encode_multi_label(
    labels: dict[str, LabelColumn], label_names: list[str] | None
) -> tuple[list[str], dict[str, np.ndarray]]:
    if not labels["train"].values:
        raise UserError("no row of the train split has a label: add labels to some rows")
    names, index = _index_classes(labels["train"].values, label_names)
    arrays = {}
    for split, column in labels.items():
        array = np.zeros((column.num_rows, len(names)), np.int8)
        array[column.rows, _to_indices(column, index, names, given=bool(label_names))] = 1
        arrays[split] = array
    return names, arrays


def _describe_multi_label(train: np.ndarray) -> str:
    counts = train.sum(axis=1)
    unlabelled = f", {np.count_nonzero(counts == 0)} have none" if (counts == 0).any() else ""
    return f"Training rows have {counts.mean():.2f} labels on average and {counts.max()} at most{unlabelled}."


def _index_classes(train: list[Value], label_names: list[str] | None) -> tuple[list[str], dict[Value, int]]:
    """Returns the class names, and the index of each label that may occur."""
    if label_names is None:
        ordered = sorted(set(train), key=lambda value: (isinstance(value, str), value))
        return [str(value) for value in ordered], {value: index for index, value in enumerate(ordered)}
    if isinstance(train[0], str):
        return label_names, {name: index for index, name in enumerate(label_names)}
    return label_names, {index: index for index in range(len(label_names))}


def _to_indices(column: LabelColumn, index: dict[Value, int], names: list[str], *, given: bool) -> np.ndarray:
    wrong = column.find_first(lambda value: value not in index)
    if wrong:
        row, value = wrong
        classes = count_names(names, "class")
        similar = next((name for name in names if normalize_text(name) == normalize_text(str(value))), None)
        if isinstance(value, str) and similar:
            reason = (
                f"which differs from '{escape_name(similar)}' only in whitespace, case or Unicode form: spell it alike"
            )
        elif not given:
            reason = f"which the training split lacks: it has {classes}"
        elif isinstance(value, str):
            reason = f"which is none of {quote_names(names)}"
        else:
            reason = f"which is out of range: the indices of {classes} are 0 to {len(names) - 1}"
        raise UserError(f"{row} has the label '{escape_name(str(value))}', {reason}")
    return column.encode([index[value] for value in column.values], np.int64)
