"""Measures the lengths of the texts, in tokens or in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compaware.components.data_prep.split import TextRows
from compaware.components.storage import local_source

_BINS = 24
_BATCH_ROWS = 1000
# Larger splits are sampled, since a tokenizer reads only some thousands of rows per second.
MAX_ROWS = 100_000


@dataclass(frozen=True)
class Lengths:
    """Lengths of the rows (both texts of a pair together, special tokens included).

    Attributes:
        unit: Unit of the lengths.
        rows: Number of measured rows of each split: all, or those sampled from a large split.
        mean: Mean length of each split.
        p95: 95th percentile of each split.
        longest: Maximum of each split.
        histogram: Measured rows of the training split with a length from `start` to `end`, inclusive.
    """

    unit: str
    rows: dict[str, int]
    mean: dict[str, float]
    p95: dict[str, float]
    longest: dict[str, int]
    histogram: list[dict[str, int]]


def measure_lengths(splits: Mapping[str, TextRows], tokenizer: str | None, cache_dir: Path, seed: int) -> Lengths:
    """Measures every row, or `MAX_ROWS` sampled rows of a larger split.

    Args:
        splits: The rows to measure.
        tokenizer: Hub id, folder or URI; if None, words between spaces are counted.
        cache_dir: Folder for a download from an object store.
        seed: Seed of the sampling.

    Raises:
        UserError: The tokenizer does not exist.
    """
    count = _count_words if tokenizer is None else _token_counter(local_source(tokenizer, cache_dir))
    lengths = {name: _measure(_sample(split, seed), count) for name, split in splits.items()}
    return Lengths(
        unit="words between spaces" if tokenizer is None else f"tokens of {Path(tokenizer).name}",
        rows={split: len(values) for split, values in lengths.items()},
        mean={split: float(values.mean()) for split, values in lengths.items()},
        p95={split: float(np.percentile(values, 95, method="higher")) for split, values in lengths.items()},
        longest={split: int(values.max()) for split, values in lengths.items()},
        histogram=_histogram(lengths["train"]),
    )


Counter = Callable[[list[list[str]]], list[int]]


def _sample(split: TextRows, seed: int) -> TextRows:
    if split.num_rows <= MAX_ROWS:
        return split
    return split.take(np.sort(np.random.RandomState(seed).permutation(split.num_rows)[:MAX_ROWS]))


def _measure(split: TextRows, count: Counter) -> np.ndarray:
    lengths: list[int] = []
    for table in split.text_tables():
        for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
            lengths += count([column.to_pylist() for column in batch.columns])
    return np.array(lengths)


def _count_words(columns: list[list[str]]) -> list[int]:
    return [sum(len(text.split()) for text in row) for row in zip(*columns, strict=True)]


def _token_counter(source: str) -> Counter:
    from compaware.components.core.data.tokenizer import read_tokenizer

    tokenizer = read_tokenizer(source)
    # verbose=False: warnings about texts that exceed the model's limit do not matter here.
    return lambda columns: [len(ids) for ids in tokenizer(*columns, verbose=False)["input_ids"]]


def _histogram(lengths: np.ndarray) -> list[dict[str, int]]:
    """Returns bins of equal width; the last bin ends at or after the maximum."""
    low, high = int(lengths.min()), int(lengths.max())
    width = (high - low) // _BINS + 1
    starts = range(low, high + 1, width)
    rows = np.bincount((lengths - low) // width, minlength=len(starts))
    return [
        {"start": start, "end": start + width - 1, "rows": int(count)}
        for start, count in zip(starts, rows, strict=True)
    ]
