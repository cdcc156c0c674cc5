"""A split on its way to the artifact: its texts stay on disk, its labels and which rows it has are in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from compaware.components.core.data.dataset import GROUP_ROWS, label_array


@dataclass(frozen=True)
class Split:
    """Some rows of a table of texts.

    Attributes:
        texts: Columns `text` and, for pairs, `text_pair`, of any string type. As a rule it is memory-mapped, and never
            copied as a whole.
        labels: (rows,) int64 class indices or float64 numbers, or (rows, labels) int8 of 0 and 1.
        rows: (rows,) ascending indices into `texts`.
    """

    texts: pa.Table
    labels: np.ndarray
    rows: np.ndarray

    @classmethod
    def whole(cls, texts: pa.Table, labels: np.ndarray) -> Self:
        """A split that has every row of `texts`."""
        return cls(texts, labels, np.arange(texts.num_rows))

    @property
    def num_rows(self) -> int:
        """Rows of the split."""
        return len(self.rows)

    def take(self, chosen: np.ndarray) -> "Split":
        """Keeps the rows at these ascending indices, or where this mask is true."""
        return Split(self.texts, self.labels[chosen], self.rows[chosen])

    def tables(self) -> Iterator[pa.Table]:
        """Reads the rows in order, some thousands at a time, with the artifact's columns."""
        start = 0
        for batch in self.texts.to_batches(max_chunksize=GROUP_ROWS):
            stop = start + batch.num_rows
            first, last = np.searchsorted(self.rows, [start, stop])
            if first < last:
                here = batch if last - first == len(batch) else batch.take(pa.array(self.rows[first:last] - start))
                texts = {name: here.column(name).cast(pa.string()) for name in here.schema.names}
                yield pa.table({**texts, "label": label_array(self.labels[first:last])})
            start = stop
