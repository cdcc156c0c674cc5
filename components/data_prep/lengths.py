"""How long the texts are, in tokens of a tokenizer or in words."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from compaware.components.core.errors import UserError
from compaware.components.storage import local_source

_BINS = 24
_BATCH_ROWS = 1000


@dataclass(frozen=True)
class Lengths:
    """Lengths of the rows (both texts of a pair together, special tokens included).

    Attributes:
        unit: What was counted.
        mean: Of each split.
        p95: 95 % of a split's rows are no longer.
        longest: Of each split.
        histogram: Rows of the training split whose length is between `start` and `end`, both included.
    """

    unit: str
    mean: dict[str, float]
    p95: dict[str, float]
    longest: dict[str, int]
    histogram: list[dict[str, int]]


def measure_lengths(tables: dict[str, pa.Table], tokenizer: str | None, cache_dir: Path) -> Lengths:
    """Counts the tokens of every row.

    Args:
        tables: Splits with columns `text` and, for pairs, `text_pair`.
        tokenizer: Hub id, folder or URI; words between blanks are counted when None.
        cache_dir: Where a download from an object store is put.

    Raises:
        UserError: There is no such tokenizer.
    """
    count = _count_words if tokenizer is None else _token_counter(local_source(tokenizer, cache_dir))
    counts = {split: _count(table, count) for split, table in tables.items()}
    return Lengths(
        unit="words between blanks" if tokenizer is None else f"tokens of {Path(tokenizer).name}",
        mean={split: float(found.mean()) for split, found in counts.items()},
        p95={split: float(np.percentile(found, 95, method="higher")) for split, found in counts.items()},
        longest={split: int(found.max()) for split, found in counts.items()},
        histogram=_histogram(counts["train"]),
    )


Counter = Callable[[list[list[str]]], list[int]]


def _count(table: pa.Table, count: Counter) -> np.ndarray:
    texts = table.drop_columns("label")
    found: list[int] = []
    for batch in texts.to_batches(max_chunksize=_BATCH_ROWS):
        found += count([column.to_pylist() for column in batch.columns])
    return np.array(found)


def _count_words(columns: list[list[str]]) -> list[int]:
    return [sum(len(text.split()) for text in row) for row in zip(*columns, strict=True)]


def _token_counter(source: str) -> Counter:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot load a tokenizer from {source}: {' '.join(str(error).split())}") from error
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
