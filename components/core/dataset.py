"""The Dataset artifact: Parquet splits with uniform columns, and a manifest that says what they are.

Columns of every split: `text`, optionally `text_pair` (strings), and `label` (int64 class index, or float64 for
regression).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from compaware.components.core.artifacts import write_text
from compaware.components.core.errors import UserError

MANIFEST = "manifest.json"
ProblemType = Literal["classification", "regression"]


class Manifest(BaseModel):
    """What a Dataset artifact holds.

    Attributes:
        task: Name of the task, or `custom`.
        problem_type: `classification` or `regression`.
        text_columns: The one or two text columns' names in the source.
        label_column: The label column's name in the source.
        label_names: Class names in index order; empty for regression.
        metric: Name of the primary metric (see `core.metrics`).
        splits: Rows of each split.
        fingerprint: SHA-256 of the columns and contents of all splits.
        source: Where the data came from.
        notes: What a reader should know: duplicates dropped, splits made, rows left out.
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

    @property
    def num_labels(self) -> int:
        """Width of a model's head: the number of classes, or 1 for regression."""
        return len(self.label_names) or 1


@dataclass(frozen=True)
class PreparedDataset:
    """A Dataset artifact on disk."""

    path: Path
    manifest: Manifest

    def split(self, name: str) -> pa.Table:
        """Reads one split, by memory map.

        Raises:
            UserError: There is no such split.
        """
        if name not in self.manifest.splits:
            raise UserError(f"{self.path} has no split '{name}': choose from {', '.join(self.manifest.splits)}")
        return pq.read_table(self.path / f"{name}.parquet", memory_map=True)


def load_dataset_folder(path: str | Path) -> PreparedDataset:
    """Opens a Dataset artifact.

    Raises:
        UserError: The folder is not one that data_prep wrote.
    """
    folder = Path(path)
    file = folder / MANIFEST
    if not file.is_file():
        raise UserError(f"{folder} has no {MANIFEST}: give a folder that data_prep wrote")
    try:
        manifest = Manifest.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise UserError(f"{file} is not a manifest of data_prep: {error.errors()[0]['msg']}") from error
    missing = [name for name in manifest.splits if not (folder / f"{name}.parquet").is_file()]
    if missing:
        raise UserError(f"{folder} lacks {missing[0]}.parquet: run data_prep again")
    return PreparedDataset(folder, manifest)


def write_dataset_folder(
    path: Path,
    tables: dict[str, pa.Table],
    *,
    task: str,
    problem_type: ProblemType,
    text_columns: list[str],
    label_column: str,
    label_names: list[str],
    metric: str,
    source: dict[str, Any],
    notes: list[str],
) -> Manifest:
    """Writes the splits as Parquet and, last, their manifest.

    Args:
        path: An existing folder to write into.
        tables: Split name to a table with the artifact's columns.
        task: See `Manifest`, as for all that follow.
        problem_type: Classification or regression.
        text_columns: Source names of the text columns.
        label_column: Source name of the label column.
        label_names: Class names in index order.
        metric: Primary metric.
        source: Where the data came from.
        notes: Remarks for the data card.

    Returns:
        The manifest, with rows and fingerprint filled in.
    """
    for name, table in tables.items():
        pq.write_table(table, path / f"{name}.parquet", compression="zstd")
    manifest = Manifest(
        task=task,
        problem_type=problem_type,
        text_columns=text_columns,
        label_column=label_column,
        label_names=label_names,
        metric=metric,
        splits={name: table.num_rows for name, table in tables.items()},
        fingerprint=_fingerprint(tables, label_names),
        source=source,
        notes=notes,
    )
    write_text(path / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def _fingerprint(tables: dict[str, pa.Table], label_names: list[str]) -> str:
    """Hashes contents, not files, so that the same rows have the same fingerprint under any writer's version."""
    digest = hashlib.sha256(repr(label_names).encode())
    for split in sorted(tables):
        for column in tables[split].column_names:
            digest.update(f"\0{split}\0{column}\0".encode())
            for chunk in tables[split].column(column).chunks:
                for value in chunk.to_pylist():
                    digest.update(f"{value!r}\n".encode())
    return digest.hexdigest()
