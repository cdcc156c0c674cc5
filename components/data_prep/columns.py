"""Which columns of the source are text and label, and their values in the artifact's names."""

import json
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.tasks import TASKS, Task
from compaware.components.data_prep.config import DataPrepConfig
from compaware.components.data_prep.label_notes import short
from compaware.components.data_prep.listed import join_labels
from compaware.components.data_prep.tables.readers import FILES
from compaware.components.data_prep.wording import list_names, looks_like_data, shorten

_DEFAULT_LABEL = "label"
# Columns in which pandas keeps its row numbers.
_INDEX = re.compile(r"Unnamed: \d+|__index_level_\d+__")
_ROWS_LOOKED_AT = 1000
# Of a longer path, a message shows the end.
_PATH_CHARACTERS = 80


@dataclass(frozen=True)
class Columns:
    """Names in the source.

    Attributes:
        text: One or two columns.
        labels: The column of labels, or several of 0 and 1, which are called like the labels.
    """

    text: list[str]
    labels: list[str]

    @property
    def label(self) -> str:
        """The name or names of the label's columns."""
        return ", ".join(self.labels)


def choose_columns(table: pa.Table, config: DataPrepConfig, task: Task | None) -> Columns:
    """Takes the columns that the configuration or the task names, or that can only be meant.

    Args:
        table: The training split.
        config: May name columns.
        task: The known task, if any.

    Raises:
        UserError: A named column is missing, or it is not clear which columns hold the text.
    """
    own = config.label_names or []
    if config.problem_type == "multi_label_classification" and not config.label_column and own:
        labels = own if set(own) <= set(table.column_names) else [_DEFAULT_LABEL]
    else:
        labels = [config.label_column or (task.label_column if task else _DEFAULT_LABEL)]
    for name in [*labels, *config.text_columns]:
        if name not in table.column_names:
            hint = "" if config.label_column or name not in labels else ": set label_column"
            raise _no_column(table, "training", name, hint)
    if told := set(labels) & set(config.text_columns):
        raise UserError(
            f"text_columns has '{min(told)}', which holds labels: name columns of text, or set label_column"
        )
    return Columns(config.text_columns or _usual_text_columns(table, labels, task), labels)


def _usual_text_columns(table: pa.Table, labels: list[str], task: Task | None) -> list[str]:
    usual = [task.text_columns] if task else []
    # A pair before its halves.
    usual += sorted({other.text_columns for other in TASKS.values()}, key=lambda names: (-len(names), names))
    for names in usual:
        if task and len(names) != len(task.text_columns):
            continue
        if set(names) <= set(table.column_names) - set(labels):
            return list(names)
    others = [name for name in table.column_names if name not in labels and not _INDEX.fullmatch(name)]
    if len(others) != 1 or (task and len(task.text_columns) != 1):
        raise UserError(f"it is not clear which columns hold the text: set text_columns, from {list_names(others)}")
    return others


def _no_column(table: pa.Table, split: str, name: str, hint: str) -> UserError:
    if _has_no_header(table):
        given = ", ".join(f"name{number}" for number in range(1, min(table.num_columns, 6) + 1))
        hint = f": its first row looks like data, so name the columns by read_options='{{column_names: [{given}]}}'"
    return UserError(f"the {split} split has no column '{name}' (it has {list_names(table.column_names)}){hint}")


def _has_no_header(table: pa.Table) -> bool:
    """Whether the names of the columns of a delimited file, all texts, seem to be cells of its first row."""
    if not all(pa.types.is_string(kind) for kind in table.schema.types):
        return False
    if looks_like_data(table.column_names):
        return True
    first = table.slice(0, _ROWS_LOOKED_AT)
    return any(pc.index(first.column(name), name).as_py() >= 0 for name in first.column_names)


def take_columns(tables: dict[str, pa.Table], columns: Columns) -> tuple[dict[str, pa.Table], list[str]]:
    """Renames the chosen columns to `text`, `text_pair` and `label`; their values stay as and where they are.

    Returns:
        The tables, and notes about test splits that were left out for want of labels and names that look like data.

    Raises:
        UserError: A split lacks a column, a text is missing or is not text, or a label of its own column is not 0 or 1.
    """
    taken, notes = {}, []
    for split, table in tables.items():
        for name in [*columns.text, *columns.labels]:
            if name in table.column_names:
                continue
            if split == "test" and name in columns.labels:
                notes.append(f"The test split has no column '{name}' and is left out.")
                break
            raise _no_column(table, split, name, "")
        else:
            texts = [_text(table, name, split) for name in columns.text]
            named = dict(zip(("text", "text_pair"), texts, strict=False))
            whole = len(columns.labels) == 1
            label = _plain(table.column(columns.label)) if whole else _join_labels(table, columns.labels, split)
            taken[split] = pa.table({**named, "label": label})
            if _has_no_header(table):
                notes.append(
                    f"The names of the {split} split's columns look like data: {list_names(table.column_names)}."
                )
    return taken, notes


def _text(table: pa.Table, name: str, split: str) -> pa.ChunkedArray:
    column = table.column(name)
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        try:
            column = column.cast(pa.binary()).cast(pa.string())
        except pa.ArrowInvalid as error:
            raise UserError(f"the column '{name}' of the {split} split holds bytes that are not UTF-8") from error
    elif pa.types.is_null(kind):
        column = column.cast(pa.string())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        shown = shorten(str(kind), 60)
        raise UserError(f"the column '{name}' of the {split} split holds {shown}, not text: set text_columns")
    if column.null_count:
        row = pc.index(column.is_null(), True).as_py()
        others = f" (as {column.null_count} rows in all)" if column.null_count > 1 else ""
        raise UserError(
            f"{name_row(table, split, row)} has no text in '{name}'{others}: fill it in or leave the row out"
        )
    return column


def name_row(table: pa.Table, split: str, row: int) -> str:
    """How a message calls a row, counted from 0: its number in the split and in its file if the split has several."""
    shards = json.loads((table.schema.metadata or {}).get(FILES, b"[]"))
    start = 0
    for file, rows in shards:
        if row < start + rows:
            shown = file if len(file) <= _PATH_CHARACTERS else f"…{file[-_PATH_CHARACTERS:]}"
            place = shown if len(shards) == 1 else f"row {row - start + 1} of {shown}"
            return f"row {row + 1} of the {split} split ({place})"
        start += rows
    return f"row {row + 1} of the {split} split"


def _plain(labels: pa.ChunkedArray) -> pa.ChunkedArray:
    """Decimals as numbers, and bytes as the texts that they hold if they do."""
    try:
        if pa.types.is_decimal(labels.type):
            return labels.cast(pa.int64() if labels.type.scale == 0 else pa.float64())
        if pa.types.is_binary(labels.type) or pa.types.is_large_binary(labels.type):
            return labels.cast(pa.string())
    except pa.ArrowInvalid:
        pass
    return labels


def _join_labels(table: pa.Table, names: list[str], split: str) -> pa.ChunkedArray:
    """Columns of 0 and 1 as lists of the names of those that are 1; of withheld test rows, nulls."""
    return join_labels(np.stack([_read_ones(table, name, split) for name in names], axis=1), pa.array(names))


def _read_ones(table: pa.Table, name: str, split: str) -> np.ndarray:
    """Whether each row has the label: (rows,) int8, 1 or 0; -1 in rows of the test split where that is withheld."""
    column = table.column(name)
    texts = pc.fill_null(pc.utf8_trim_whitespace(pc.utf8_lower(column.cast(pa.string()))), "")
    ways = {1: ["1", "1.0", "true"], 0: ["0", "0.0", "false"], -1: ["-1", "-1.0", "", "nan"] if split == "test" else []}
    read = np.full(len(texts), 2, np.int8)
    for number, values in ways.items():
        read[pc.is_in(texts, pa.array(values, pa.string())).to_numpy()] = number
    if len(wrong := np.flatnonzero(read == 2)):
        row = int(wrong[0])
        value = short(str(column[row].as_py()))
        raise UserError(f"{name_row(table, split, row)} has '{value}' in '{name}': a label's column has 0 or 1")
    return read
