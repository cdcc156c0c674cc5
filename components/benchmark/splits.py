"""The splits that candidates are scored on: one whose batches are timed, and others that are only scored."""

from pathlib import Path

import pyarrow as pa

from compaware.components.benchmark.config import BenchmarkConfig
from compaware.components.core.data.dataset import TEST, UNLABELLED, PreparedDataset

# Rows of `unlabelled` that are scored: enough to see how far scores drift.
_UNLABELLED_ROWS = 2_000


def further_splits(config: BenchmarkConfig, dataset: PreparedDataset) -> list[str]:
    """Returns the splits that are scored besides `config.split`: `test` and `unlabelled`, where the data has them."""
    return [name for name in (TEST, UNLABELLED) if dataset.manifest.splits.get(name) and name != config.split]


def labelled_splits(config: BenchmarkConfig, dataset: PreparedDataset) -> list[str]:
    """Returns the split that decides, which is the timed one, and then `test` if it is another one."""
    return [config.split, *(name for name in further_splits(config, dataset) if name == TEST)]


def rows_to_score(dataset: PreparedDataset, split: str) -> pa.Table:
    """Returns the rows of a split that candidates score: all of them, but only the first ones of `unlabelled`."""
    if split == UNLABELLED:
        return next(dataset.groups(split)).slice(0, _UNLABELLED_ROWS)
    return dataset.split(split)


def inputs_file(folder: Path, split: str) -> Path:
    """Returns the file of a split as a candidate's tokenizer made it (see `TokenizedSplit`)."""
    return folder / f"inputs-{split}.npz"
