"""Writes a Dataset artifact (see `core.data.dataset`)."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from compaware.components.core.base.files import write_text
from compaware.components.core.data.dataset import (
    FILE_GROUPS,
    GROUP_ROWS,
    MANIFEST,
    UNLABELLED,
    Manifest,
    ProblemType,
    slices_file,
    split_files,
)


def write_dataset_folder(
    path: Path,
    splits: Mapping[str, Iterable[pa.Table]],
    *,
    task: str,
    problem_type: ProblemType,
    text_columns: list[str],
    label_column: str,
    label_names: list[str],
    metric: str,
    source: dict[str, Any],
    notes: list[str],
    slices: Mapping[str, Iterable[pa.Table]] | None = None,
) -> Manifest:
    """Writes the splits as Parquet and, last, their manifest.

    Args:
        path: An existing folder to write into.
        splits: The tables of each split, with the artifact's columns and the rows in order; each is read once.
        task: See `Manifest` for this and the following arguments.
        problem_type: Kind of the labels.
        text_columns: Source names of the text columns.
        label_column: Source name of the label column.
        label_names: Class names in index order.
        metric: Primary metric.
        source: Where the data came from.
        notes: Remarks for the data card.
        slices: The tables of the slice columns of each split of `SLICED`, as strings; by default there are none.

    Returns:
        The manifest, with the numbers of rows and the fingerprint.
    """
    written = {name: _write_split(path, name, tables) for name, tables in splits.items()}
    slice_columns = [_write_slices(path / slices_file(name), tables) for name, tables in (slices or {}).items()]
    manifest = Manifest(
        task=task,
        problem_type=problem_type,
        text_columns=text_columns,
        label_column=label_column,
        label_names=label_names,
        metric=metric,
        splits={name: rows for name, (rows, _) in written.items()},
        fingerprint=_fingerprint(
            {name: digest for name, (_, digest) in written.items() if name != UNLABELLED}, label_names
        ),
        source=source,
        notes=notes,
        slice_columns=slice_columns[0] if slice_columns else [],
    )
    write_text(path / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def label_array(labels: np.ndarray) -> pa.Array:
    """Converts labels, (rows,) or for multi-label data (rows, labels), to a column of a split."""
    if labels.ndim == 1:
        return pa.array(labels)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(labels).reshape(-1)), labels.shape[1])


def _write_split(folder: Path, split: str, tables: Iterable[pa.Table]) -> tuple[int, str]:
    """Writes a split's files.

    Returns:
        The number of rows, and a hash of the contents. (A hash of the files would change with the Parquet writer.)
    """
    rows = 0
    digests: dict[str, Any] = {}
    parts: list[Path] = []
    writer: pq.ParquetWriter | None = None
    for number, group in enumerate(_regroup(tables, GROUP_ROWS)):
        if number % FILE_GROUPS == 0:
            if writer:
                writer.close()
            parts.append(folder / f".{split}-{len(parts)}.part")
            writer = pq.ParquetWriter(parts[-1], group.schema, compression="zstd")
        assert writer is not None
        writer.write_table(group)
        rows += group.num_rows
        for name in group.column_names:
            digest = digests.setdefault(name, hashlib.sha256())
            digest.update("".join(f"{value!r}\n" for value in group.column(name).to_pylist()).encode())
    if writer:
        writer.close()
    for part, name in zip(parts, split_files(split, rows), strict=True):
        part.rename(folder / name)
    return rows, " ".join(f"{name} {digest.hexdigest()}" for name, digest in digests.items())


def _write_slices(file: Path, tables: Iterable[pa.Table]) -> list[str]:
    """Writes a split's slice columns and returns their names."""
    writer: pq.ParquetWriter | None = None
    for table in tables:
        writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return writer.schema.names


def _regroup(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Regroups rows into tables of `rows` rows; the last table may have fewer."""
    pending: list[pa.Table] = []
    count = 0
    for table in tables:
        pending.append(table)
        count += table.num_rows
        if count < rows:
            continue
        joined = pa.concat_tables(pending)
        for start in range(0, count - rows + 1, rows):
            yield joined.slice(start, rows)
        pending = [joined.slice(count - count % rows)]
        count %= rows
    if count:
        yield pa.concat_tables(pending)


def _fingerprint(digests: dict[str, str], label_names: list[str]) -> str:
    return hashlib.sha256(repr((label_names, sorted(digests.items()))).encode()).hexdigest()
