"""Selects the columns by which reports divide the rows of validation and test."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import SLICED
from compaware.components.data_prep.columns import Columns, no_column
from compaware.components.data_prep.config import DataPrepConfig
from compaware.components.data_prep.messages import shorten

_KINDS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_decimal,
    pa.types.is_temporal,
    pa.types.is_null,
)


def select_slices(tables: dict[str, pa.Table], columns: Columns, config: DataPrepConfig) -> dict[str, pa.Table]:
    """Returns the slice columns of the splits that keep them, and of training if it gives rows to such a split.

    Args:
        tables: The source's splits.
        columns: Its text and label columns.
        config: Names the slice columns.

    Raises:
        UserError: A split lacks a slice column, or it cannot be one.
    """
    names = config.slice_columns
    if not names:
        return {}
    used = set(columns.text) | set(columns.labels)
    if shared := [name for name in names if name in used]:
        raise UserError(f"slice_columns has the text or label column '{shared[0]}': choose other columns")
    # Rows of a test split without labels are not judged.
    labelled = [name for name in SLICED if name in tables and set(columns.labels) <= set(tables[name].column_names)]
    gives_rows = "validation" not in tables or config.test_fraction > 0
    splits = [*labelled, *(["train"] if gives_rows else [])]
    for split in splits:
        for name in names:
            if name not in tables[split].column_names:
                raise no_column(tables[split], split, name, ": set slice_columns")
            _check_kind(tables[split].column(name), name, split)
    return {split: tables[split].select(names) for split in splits}


def name_classes(tables: Iterator[pa.Table], class_names: dict[str, list[str]]) -> Iterator[pa.Table]:
    """Replaces class indices by names, in the slice columns for which the source has names."""
    for table in tables:
        for index, name in enumerate(table.column_names):
            if names := class_names.get(name):
                column = table.column(name)
                indices = pc.index_in(column, pa.array([str(number) for number in range(len(names))]))
                table = table.set_column(index, name, pc.coalesce(pa.array(names).take(indices), column))
        yield table


def _check_kind(column: pa.ChunkedArray, name: str, split: str) -> None:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not any(is_kind(kind) for is_kind in _KINDS):
        raise UserError(
            f"the column '{name}' of the {split} split holds {shorten(str(column.type), 60)}: slice_columns takes "
            "texts, numbers and dates"
        )
