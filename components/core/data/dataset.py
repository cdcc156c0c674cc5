"""The Dataset artifact: Parquet splits and a manifest that describes them.

Models are trained on `train`. All choices are made on `validation`. `test` is optional and only reported, as is MNLI's
`validation_mismatched`. `unlabelled` is optional: test rows whose label is withheld.

Columns of every split: `text`, optionally `text_pair` (strings), and, except in `unlabelled`, `label` (int64 class
index, float64 for regression, or for multi-label data a list of int8, 0 or 1 for each label). A split is one file or
several, in row order (`train-00000-of-00002.parquet`), each of row groups of `GROUP_ROWS` rows, so that a split of any
size is written and read one group at a time.

`slices-validation.parquet` and `slices-test.parquet` hold further columns of the source as strings, in the same row
order. They are apart from the splits, since only reports use them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from compaware.components.core.base.errors import UserError

MANIFEST = "manifest.json"
# Rows of a row group; only the last one of a split may have fewer.
GROUP_ROWS = 10_000
# Row groups in a file.
FILE_GROUPS = 50
# Labelled rows that no choice depends on.
TEST = "test"
# MNLI's validation split of other genres than in training.
MISMATCHED = "validation_mismatched"
# Test rows without a label. They cannot change a model or its score, so they are not part of the fingerprint.
UNLABELLED = "unlabelled"
# Splits for which slice columns are kept.
SLICED = ("validation", TEST)
ProblemType = Literal["classification", "multi_label_classification", "regression"]


class Manifest(BaseModel):
    """Describes a Dataset artifact.

    Attributes:
        task: Name of the task, or `custom`.
        problem_type: `classification` (one class a row), `multi_label_classification` (any number of labels a row) or
            `regression`.
        text_columns: The one or two text columns' names in the source.
        label_column: The label column's name in the source.
        label_names: Names of the classes or labels in index order; empty for regression.
        metric: Name of the primary metric (see `core.evaluation.metrics`).
        splits: Number of rows of each split.
        fingerprint: SHA-256 of the columns and contents of all labelled splits.
        source: Where the data came from.
        notes: Remarks for the reader, such as dropped duplicates or rows left out.
        slice_columns: Columns of the source by which reports divide validation and test rows.
    """

    task: str
    problem_type: ProblemType
    text_columns: list[str]
    label_column: str
    label_names: list[str]
    metric: str
    splits: dict[str, int]
    fingerprint: str
    source: dict[str, Any]
    notes: list[str]
    slice_columns: list[str] = []

    @property
    def num_labels(self) -> int:
        """Number of a model's outputs: one for each class or label, or 1 for regression."""
        return len(self.label_names) or 1


@dataclass(frozen=True)
class PreparedDataset:
    """A Dataset artifact on disk."""

    path: Path
    manifest: Manifest

    @property
    def has_test(self) -> bool:
        """Whether there is a labelled test split, which no choice was made on."""
        return self.manifest.splits.get(TEST, 0) > 0

    def split(self, name: str) -> pa.Table:
        """Reads a whole split; for splits that fit in memory, such as validation.

        Raises:
            UserError: There is no such split.
        """
        return pa.concat_tables([pq.read_table(file) for file in self.files(name)])

    def labels(self, name: str) -> np.ndarray:
        """Reads only the labels of a split: (rows,), int64 or float64; for multi-label data (rows, labels), int8.

        Raises:
            UserError: There is no such split, or its rows have no labels.
        """
        if name == UNLABELLED:
            raise UserError(f"the split '{UNLABELLED}' of {self.path} has no labels: choose a split that has labels")
        columns = [pq.read_table(file, columns=["label"])["label"].combine_chunks() for file in self.files(name)]
        if self.manifest.problem_type == "multi_label_classification":
            columns = [column.flatten() for column in columns]
            return np.concatenate(columns).reshape(-1, self.manifest.num_labels)
        return np.concatenate(columns)

    def slices(self, name: str) -> pa.Table:
        """Reads the `slice_columns` of validation or test as strings; a missing value is empty.

        Raises:
            UserError: There is no such split.
        """
        self.files(name)
        if self.manifest.slice_columns and name in SLICED:
            return pq.read_table(self.path / slices_file(name))
        return pa.table({"row": pa.nulls(self.manifest.splits[name])}).select([])

    def group_count(self, name: str) -> int:
        """Returns the number of row groups of a split; the last one may have fewer than `GROUP_ROWS` rows."""
        return -(-self.manifest.splits[name] // GROUP_ROWS)

    def groups(self, name: str, numbers: Iterable[int] | None = None) -> Iterator[pa.Table]:
        """Reads a split one row group at a time, so that it need not fit in memory.

        Args:
            name: The split.
            numbers: Numbers of the groups to read, 0 to `group_count` - 1; all groups if None.

        Raises:
            UserError: There is no such split.
        """
        files = self.files(name)
        for number in range(self.group_count(name)) if numbers is None else numbers:
            with pq.ParquetFile(files[number // FILE_GROUPS]) as file:
                yield file.read_row_group(number % FILE_GROUPS)

    def files(self, name: str) -> list[Path]:
        """Returns the files of a split, in row order.

        Raises:
            UserError: There is no such split.
        """
        if name not in self.manifest.splits:
            raise UserError(f"{self.path} has no split '{name}': choose from {', '.join(self.manifest.splits)}")
        return [self.path / file for file in split_files(name, self.manifest.splits[name])]


def load_dataset_folder(path: str | Path) -> PreparedDataset:
    """Opens a Dataset artifact.

    Raises:
        UserError: data_prep did not write the folder, or a file is missing.
    """
    folder = Path(path)
    file = folder / MANIFEST
    if not file.is_file():
        raise UserError(f"{folder} has no {MANIFEST}: give a folder that data_prep wrote")
    try:
        manifest = Manifest.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise UserError(
            f"{file} is not a valid manifest ({error.errors()[0]['msg']}): give a folder that data_prep wrote"
        ) from error
    dataset = PreparedDataset(folder, manifest)
    files = [file for name in manifest.splits for file in dataset.files(name)]
    if manifest.slice_columns:
        files += [folder / slices_file(name) for name in SLICED if name in manifest.splits]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UserError(f"{folder} lacks {missing[0].name}: run data_prep again")
    return dataset


def split_files(split: str, rows: int) -> list[str]:
    """Returns the names of a split's files, in row order."""
    count = -(-rows // (GROUP_ROWS * FILE_GROUPS))
    return [f"{split}-{number:05d}-of-{count:05d}.parquet" for number in range(count)]


def slices_file(split: str) -> str:
    """Returns the name of the file with a split's slice columns."""
    return f"slices-{split}.parquet"
