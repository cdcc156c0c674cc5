"""Rows whose texts stay on disk, and whose labels and row indices are in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.core.data.dataset import GROUP_ROWS
from compaware.components.core.data.dataset_writer import label_array


@dataclass(frozen=True)
class TextRows:
    """A selection of the rows of a table of texts.

    Attributes:
        texts: Columns `text` and, for pairs, `text_pair`, of any string type. The table is usually memory-mapped, and
            is never copied as a whole.
        rows: (rows,) ascending indices into `texts`.
    """

    texts: pa.Table
    rows: np.ndarray

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def take(self, rows: np.ndarray) -> Self:
        """Returns the rows at these ascending indices, or where this mask is true."""
        return replace(self, rows=self.rows[rows])

    def text_tables(self) -> Iterator[pa.Table]:
        """Yields the texts in order, some thousands of rows at a time."""
        return _read_strings(self.texts, self.rows)

    def tables(self) -> Iterator[pa.Table]:
        """Yields the rows in order, some thousands at a time, with the artifact's columns."""
        return self.text_tables()


@dataclass(frozen=True)
class Split(TextRows):
    """Labelled rows of a table of texts.

    Attributes:
        labels: (rows,) int64 class indices or float64 numbers, or (rows, labels) int8 of 0 and 1.
        slices: The source's slice columns for every row of `texts`, if they are asked for.
    """

    labels: np.ndarray
    slices: pa.Table | None = None

    @classmethod
    def whole(cls, texts: pa.Table, labels: np.ndarray) -> Self:
        """Returns a split with every row of `texts`."""
        return cls(texts, np.arange(texts.num_rows), labels)

    def take(self, rows: np.ndarray) -> Self:
        """Returns the rows at these ascending indices, or where this mask is true."""
        return replace(self, rows=self.rows[rows], labels=self.labels[rows])

    def tables(self) -> Iterator[pa.Table]:
        """Yields the rows in order, some thousands at a time, with the artifact's columns."""
        start = 0
        for table in self.text_tables():
            stop = start + table.num_rows
            yield table.append_column("label", label_array(self.labels[start:stop]))
            start = stop

    def slice_tables(self) -> Iterator[pa.Table]:
        """Yields the slice columns as trimmed strings, in the order of the rows; a missing value is empty."""
        assert self.slices is not None
        for table in _read_strings(self.slices, self.rows):
            columns = [pc.utf8_trim_whitespace(column.fill_null("")) for column in table.columns]
            yield pa.table(columns, table.column_names)


def _read_strings(table: pa.Table, rows: np.ndarray) -> Iterator[pa.Table]:
    """Yields rows of a table in order, some thousands at a time, with all values as strings."""
    start = 0
    for batch in table.to_batches(max_chunksize=GROUP_ROWS):
        stop = start + batch.num_rows
        first, last = np.searchsorted(rows, [start, stop])
        if first < last:
            if last - first < len(batch):
                batch = batch.take(pa.array(rows[first:last] - start))
            yield pa.table({name: batch.column(name).cast(pa.string()) for name in batch.schema.names})
        start = stop
