"""A split whose texts stay on disk, and whose labels and row indices are in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from compaware.components.core.data.dataset import GROUP_ROWS, label_array


@dataclass(frozen=True)
class Split:
    """A selection of the rows of a table of texts.

    Attributes:
        texts: Columns `text` and, for pairs, `text_pair`, of any string type. The table is usually memory-mapped, and
            is never copied as a whole.
        labels: (rows,) int64 class indices or float64 numbers, or (rows, labels) int8 of 0 and 1.
        rows: (rows,) ascending indices into `texts`.
    """

    texts: pa.Table
    labels: np.ndarray
    rows: np.ndarray

    @classmethod
    def whole(cls, texts: pa.Table, labels: np.ndarray) -> Self:
        """Returns a split with every row of `texts`."""
        return cls(texts, labels, np.arange(texts.num_rows))

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def take(self, rows: np.ndarray) -> "Split":
        """Returns the rows at these ascending indices, or where this mask is true."""
        return Split(self.texts, self.labels[rows], self.rows[rows])

    def tables(self) -> Iterator[pa.Table]:
        """Yields the rows in order, some thousands at a time, with the artifact's columns."""
        start = 0
        for batch in self.texts.to_batches(max_chunksize=GROUP_ROWS):
            stop = start + batch.num_rows
            first, last = np.searchsorted(self.rows, [start, stop])
            if first < last:
                if last - first < len(batch):
                    batch = batch.take(pa.array(self.rows[first:last] - start))
                texts = {name: batch.column(name).cast(pa.string()) for name in batch.schema.names}
                yield pa.table({**texts, "label": label_array(self.labels[first:last])})
            start = stop
