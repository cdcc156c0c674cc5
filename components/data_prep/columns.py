"""Selects the text and label columns of the source and renames them as the artifact does."""

import json
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import TEST
from compaware.components.core.data.tasks import TASKS, Task
from compaware.components.data_prep.config import DataPrepConfig
from compaware.components.data_prep.messages import escape_name, list_names, shorten
from compaware.components.data_prep.multi_label import vectors_to_lists
from compaware.components.data_prep.tables.headers import looks_like_data
from compaware.components.data_prep.tables.readers import FILES

_DEFAULT_LABEL = "label"
_TEXTS = ("text", "text_pair")
# Columns in which pandas stores its row numbers.
_PANDAS_INDEX = re.compile(r"Unnamed: \d+|__index_level_\d+__")
# Rows that are searched for the column names.
_SEARCHED_ROWS = 1000
# Messages show only the end of a longer path.
_PATH_CHARACTERS = 80


@dataclass(frozen=True)
class Columns:
    """Column names in the source.

    Attributes:
        text: One or two columns.
        labels: The label column, or a column of 0 and 1 for each label, named after the label.
    """

    text: list[str]
    labels: list[str]

    @property
    def label(self) -> str:
        """The names of the label columns, separated by commas."""
        return ", ".join(self.labels)


def choose_columns(table: pa.Table, config: DataPrepConfig, task: Task | None) -> Columns:
    """Returns the columns that the configuration or the task names, or the only possible ones.

    Args:
        table: The training split.
        config: May name the columns.
        task: The known task, if any.

    Raises:
        UserError: A named column is missing, or it is not clear which are the text columns.
    """
    names = config.label_names or []
    if config.problem_type == "multi_label_classification" and not config.label_column and names:
        labels = names if set(names) <= set(table.column_names) else [_DEFAULT_LABEL]
    else:
        labels = [config.label_column or (task.label_column if task else _DEFAULT_LABEL)]
    for name in [*labels, *config.text_columns]:
        if name not in table.column_names:
            option = "label_column" if name in labels else "text_columns"
            raise no_column(table, "training", name, f": set {option}")
    if shared := set(labels) & set(config.text_columns):
        raise UserError(f"text_columns has the label column '{min(shared)}': choose text columns, or set label_column")
    return Columns(config.text_columns or _default_text_columns(table, {*labels, *config.slice_columns}, task), labels)


def _default_text_columns(table: pa.Table, excluded: set[str], task: Task | None) -> list[str]:
    candidates = [task.text_columns] if task else []
    # Pairs come before single columns.
    candidates += sorted({other.text_columns for other in TASKS.values()}, key=lambda names: (-len(names), names))
    for names in candidates:
        if task and len(names) != len(task.text_columns):
            continue
        if set(names) <= set(table.column_names) - excluded:
            return list(names)
    others = [name for name in table.column_names if name not in excluded and not _PANDAS_INDEX.fullmatch(name)]
    if len(others) != 1 or (task and len(task.text_columns) != 1):
        raise UserError(f"cannot tell which columns hold the text: set text_columns (columns: {list_names(others)})")
    return others


def no_column(table: pa.Table, split: str, name: str, hint: str) -> UserError:
    """Returns the error for a column that a split lacks."""
    if _has_no_header(table):
        names = ", ".join(f"name{number}" for number in range(1, min(table.num_columns, 6) + 1))
        hint = f": the first row looks like data, so set read_options='{{column_names: [{names}]}}'"
    return UserError(f"the {split} split has no column '{name}' (it has {list_names(table.column_names)}){hint}")


def _has_no_header(table: pa.Table) -> bool:
    """Whether the column names of a delimited file, whose columns are all texts, seem to be its first row of data."""
    if not all(pa.types.is_string(kind) for kind in table.schema.types):
        return False
    if looks_like_data(table.column_names):
        return True
    first = table.slice(0, _SEARCHED_ROWS)
    return any(pc.index(first.column(name), name).as_py() >= 0 for name in first.column_names)


def select_columns(tables: dict[str, pa.Table], columns: Columns) -> tuple[dict[str, pa.Table], list[str]]:
    """Renames the chosen columns to `text`, `text_pair` and `label`, without copying their values.

    Returns:
        The tables, of which test may have no `label`, and notes about that and about names that look like data.

    Raises:
        UserError: A split lacks a column, a text is missing or is not text, or a label column has another value than 0
            and 1.
    """
    selected, notes = {}, []
    for split, table in tables.items():
        missing = [name for name in [*columns.text, *columns.labels] if name not in table.column_names]
        if missing and (split != TEST or missing[0] not in columns.labels):
            raise no_column(table, split, missing[0], ": add it")
        try:
            named = {
                name: _text_column(table, source, split) for name, source in zip(_TEXTS, columns.text, strict=False)
            }
        except UserError as error:
            if not missing:
                raise
            notes.append(f"The test split has no column '{missing[0]}' and is left out, since {error}.")
            continue
        if missing:
            notes.append(f"The test split has no column '{missing[0]}' and becomes the split 'unlabelled'.")
        elif len(columns.labels) == 1:
            named["label"] = _simplify_type(table.column(columns.label))
        else:
            named["label"] = _join_indicators(table, columns.labels, split)
        selected[split] = pa.table(named)
        if _has_no_header(table):
            notes.append(f"The column names of the {split} split look like data: {list_names(table.column_names)}.")
    return selected, notes


def _text_column(table: pa.Table, name: str, split: str) -> pa.ChunkedArray:
    column = table.column(name)
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        try:
            column = column.cast(pa.binary()).cast(pa.string())
        except pa.ArrowInvalid as error:
            raise UserError(
                f"the column '{name}' of the {split} split holds bytes that are not UTF-8: convert it to text"
            ) from error
    elif pa.types.is_null(kind):
        column = column.cast(pa.string())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise UserError(
            f"the column '{name}' of the {split} split holds {shorten(str(kind), 60)}, not text: set text_columns"
        )
    if column.null_count:
        row = pc.index(column.is_null(), True).as_py()
        others = f" ({column.null_count} such rows)" if column.null_count > 1 else ""
        raise UserError(f"{name_row(table, split, row)} has no text in '{name}'{others}: add text or remove the row")
    return column


def name_row(table: pa.Table, split: str, row: int) -> str:
    """Returns the name of a row, counted from 0, for messages: its number in the split, and its file."""
    shards = json.loads((table.schema.metadata or {}).get(FILES, b"[]"))
    start = 0
    for file, rows in shards:
        if row < start + rows:
            path = file if len(file) <= _PATH_CHARACTERS else f"…{file[-_PATH_CHARACTERS:]}"
            location = path if len(shards) == 1 else f"row {row - start + 1} of {path}"
            return f"row {row + 1} of the {split} split ({location})"
        start += rows
    return f"row {row + 1} of the {split} split"


def _simplify_type(labels: pa.ChunkedArray) -> pa.ChunkedArray:
    """Converts decimals to numbers, and bytes to texts where they are UTF-8."""
    try:
        if pa.types.is_decimal(labels.type):
            return labels.cast(pa.int64() if labels.type.scale == 0 else pa.float64())
        if pa.types.is_binary(labels.type) or pa.types.is_large_binary(labels.type):
            return labels.cast(pa.string())
    except pa.ArrowInvalid:
        pass
    return labels


def _join_indicators(table: pa.Table, names: list[str], split: str) -> pa.ChunkedArray:
    """Converts columns of 0 and 1 to lists of the names of those with 1, and withheld test rows to nulls."""
    return vectors_to_lists(np.stack([_read_indicator(table, name, split) for name in names], axis=1), pa.array(names))


def _read_indicator(table: pa.Table, name: str, split: str) -> np.ndarray:
    """Returns (rows,) int8: 1 if the row has the label, 0 if not, -1 if that is withheld in the test split."""
    column = table.column(name)
    texts = pc.fill_null(pc.utf8_trim_whitespace(pc.utf8_lower(column.cast(pa.string()))), "")
    withheld = ["-1", "-1.0", "", "nan"] if split == TEST else []
    spellings = {1: ["1", "1.0", "true"], 0: ["0", "0.0", "false"], -1: withheld}
    indicator = np.full(len(texts), 2, np.int8)
    for number, values in spellings.items():
        indicator[pc.is_in(texts, pa.array(values, pa.string())).to_numpy()] = number
    if len(wrong := np.flatnonzero(indicator == 2)):
        row = int(wrong[0])
        value = escape_name(str(column[row].as_py()))
        raise UserError(f"{name_row(table, split, row)} has '{value}' in '{name}': write 0 or 1 in a label column")
    return indicator
