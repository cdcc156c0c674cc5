"""Draws the rows that floors are trained on: enough to be fair, and few enough to take about a minute."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.benchmark.floor.text_split import TEXT_COLUMNS
from compaware.components.core.data.dataset import PreparedDataset

# All of most data sets: 150,000 rows of SST-2's length, or 7,000 film reviews.
MOST_CHARACTERS = 10_000_000
# The time of training also grows with the number of labels.
MOST_CHARACTERS_TIMES_LABELS = 80_000_000


@dataclass(frozen=True)
class TrainingRows:
    """The rows to train on, and those that choose the regularization.

    Attributes:
        train: Rows of train.
        labels: Their labels: (rows,), or for multi-label data (rows, labels).
        validation: Rows of validation.
        validation_labels: Their labels.
    """

    train: pa.Table
    labels: np.ndarray
    validation: pa.Table
    validation_labels: np.ndarray

    @classmethod
    def draw(cls, dataset: PreparedDataset, seed: int) -> "TrainingRows":
        """Draws the rows; all of them if the split is not too large."""
        train, labels = draw_rows(dataset, "train", seed)
        return cls(train, labels, *draw_rows(dataset, "validation", seed))


def draw_rows(dataset: PreparedDataset, split: str, seed: int) -> tuple[pa.Table, np.ndarray]:
    """Returns a split's rows in their order, or a random part of them if the split is too large, and their labels.

    The split is read one row group at a time, so that it need not fit in memory.
    """
    characters = np.concatenate([_characters(group) for group in dataset.groups(split)])
    most = min(MOST_CHARACTERS, MOST_CHARACTERS_TIMES_LABELS // dataset.manifest.num_labels)
    order = np.random.default_rng(seed).permutation(len(characters))
    count = max(1, int(np.searchsorted(np.cumsum(characters[order]), most, side="right")))
    is_drawn = np.zeros(len(characters), bool)
    is_drawn[order[:count]] = True
    parts, start = [], 0
    for group in dataset.groups(split):
        parts.append(group.filter(pa.array(is_drawn[start : start + group.num_rows])))
        start += group.num_rows
    return pa.concat_tables(parts), dataset.labels(split)[is_drawn]


def _characters(table: pa.Table) -> np.ndarray:
    columns = [pc.utf8_length(table[name]) for name in TEXT_COLUMNS if name in table.column_names]
    return sum((column.to_numpy().astype(np.int64) for column in columns), np.zeros(table.num_rows, np.int64))
