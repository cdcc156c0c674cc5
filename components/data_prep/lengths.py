"""How long the texts are, in tokens of a tokenizer or in words."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compaware.components.data_prep.split import Split
from compaware.components.storage import local_source

_BINS = 24
_BATCH_ROWS = 1000
# Of larger splits, so many rows are drawn: tokenizers read some thousands a second.
MAX_ROWS = 100_000


@dataclass(frozen=True)
class Lengths:
    """Lengths of the rows (both texts of a pair together, special tokens included).

    Attributes:
        unit: What was counted.
        rows: How many rows of each split were counted: all, or as many as were drawn of a large one.
        mean: Of each split.
        p95: 95 % of a split's rows are no longer.
        longest: Of each split.
        histogram: Counted rows of the training split whose length is between `start` and `end`, both included.
    """

    unit: str
    rows: dict[str, int]
    mean: dict[str, float]
    p95: dict[str, float]
    longest: dict[str, int]
    histogram: list[dict[str, int]]


def measure_lengths(splits: dict[str, Split], tokenizer: str | None, cache_dir: Path, seed: int) -> Lengths:
    """Counts the tokens of every row, or in splits of more than `MAX_ROWS` rows those of so many.

    Args:
        splits: The rows.
        tokenizer: Hub id, folder or URI; words between blanks are counted when None.
        cache_dir: Where a download from an object store is put.
        seed: Of the drawing.

    Raises:
        UserError: There is no such tokenizer.
    """
    count = _count_words if tokenizer is None else _token_counter(local_source(tokenizer, cache_dir))
    counts = {name: _count(_draw(split, seed), count) for name, split in splits.items()}
    return Lengths(
        unit="words between blanks" if tokenizer is None else f"tokens of {Path(tokenizer).name}",
        rows={split: len(found) for split, found in counts.items()},
        mean={split: float(found.mean()) for split, found in counts.items()},
        p95={split: float(np.percentile(found, 95, method="higher")) for split, found in counts.items()},
        longest={split: int(found.max()) for split, found in counts.items()},
        histogram=_histogram(counts["train"]),
    )


Counter = Callable[[list[list[str]]], list[int]]


def _draw(split: Split, seed: int) -> Split:
    if split.num_rows <= MAX_ROWS:
        return split
    return split.take(np.sort(np.random.RandomState(seed).permutation(split.num_rows)[:MAX_ROWS]))


def _count(split: Split, count: Counter) -> np.ndarray:
    found: list[int] = []
    for table in split.tables():
        for batch in table.drop_columns("label").to_batches(max_chunksize=_BATCH_ROWS):
            found += count([column.to_pylist() for column in batch.columns])
    return np.array(found)


def _count_words(columns: list[list[str]]) -> list[int]:
    return [sum(len(text.split()) for text in row) for row in zip(*columns, strict=True)]


def _token_counter(source: str) -> Counter:
    from compaware.components.core.data.tokenizer import read_tokenizer

    tokenizer = read_tokenizer(source)
    # The texts are only counted: that one is longer than some model takes is no news here.
    return lambda columns: [len(ids) for ids in tokenizer(*columns, verbose=False)["input_ids"]]


def _histogram(counts: np.ndarray) -> list[dict[str, int]]:
    """Bins of equal whole width; the last one ends at or after the longest."""
    low, high = int(counts.min()), int(counts.max())
    width = (high - low) // _BINS + 1
    starts = range(low, high + 1, width)
    rows = np.bincount((counts - low) // width, minlength=len(starts))
    return [
        {"start": start, "end": start + width - 1, "rows": int(found)}
        for start, found in zip(starts, rows, strict=True)
    ]
