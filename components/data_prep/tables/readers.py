"""Reads a file, or a folder with files for each split, into tables that stay on disk."""

import errno
import itertools
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.class_names import class_names_from_schema, merge_class_names
from compaware.components.data_prep.config import ReadOptions
from compaware.components.data_prep.messages import list_names, shorten
from compaware.components.data_prep.tables.decoding import Note, find_undecodable, open_plain
from compaware.components.data_prep.tables.folders import find_splits
from compaware.components.data_prep.tables.formats import ending_of, read_batches

# Key of the metadata of a split's table that lists its files, in order, and their numbers of rows.
FILES = b"compaware.files"
log = logging.getLogger(__name__)


def read_files(
    path: Path,
    scratch: Path,
    options: ReadOptions | None = None,
    config: str | None = None,
    note: Note = log.info,
) -> dict[str, pa.Table]:
    """Reads local data of any size into tables on disk, which are mapped into memory.

    Args:
        path: A file, which is the training split, or a folder with `train.csv`, `train-00000-of-00002.parquet`,
            `train/…` or the like, and files of validation (or dev) and test; `folders.find_splits` supports more
            layouts.
        scratch: Folder on a disk with space for all the data, uncompressed.
        options: Dialect and encoding of the files; guessed by default.
        config: The data set to read, if a hub repository has several.
        note: Called with a sentence about each thing that was guessed, replaced or left out.

    Returns:
        A table for each split that exists, including `train`.

    Raises:
        UserError: There is no training file, an extension is not supported, or a file cannot be read.
    """
    files = {"train": [path]} if path.is_file() else find_splits(path, config, note)
    options = options or ReadOptions()
    return {split: _read_split(split, shards, scratch, options, note) for split, shards in files.items()}


def _read_split(split: str, files: list[Path], scratch: Path, options: ReadOptions, note: Note) -> pa.Table:
    tables = _read_shards(files, scratch, options, note)
    empty = [file for file, table in tables.items() if table is None]
    if len(empty) == len(files):
        reason = "is empty" if files[0].stat().st_size == 0 else "has no rows"
        raise UserError(f"{files[0]} {reason}: add rows or remove the file")
    if empty:
        note(f"Files of the {split} split without rows: {list_names(file.name for file in empty)}.")
    filled = {file: table for file, table in tables.items() if table is not None}
    table = _concat(split, filled, note)
    shards = json.dumps([(str(file), shard.num_rows) for file, shard in filled.items()])
    return table.replace_schema_metadata({**(table.schema.metadata or {}), FILES: shards.encode()})


def _read_shards(files: list[Path], scratch: Path, options: ReadOptions, note: Note) -> dict[Path, pa.Table | None]:
    """Reads each file; the same note about several files is passed on once, with their number."""
    files_by_note: dict[str, list[str]] = {}
    try:
        tables = {}
        for file in files:

            def collect(sentence: str, name: str = file.name) -> None:
                files_by_note.setdefault(sentence.replace(name, "\0"), []).append(name)

            tables[file] = _read_file(file, scratch, options, collect)
        return tables
    finally:
        for sentence, names in files_by_note.items():
            others = f" The same is true of {len(names) - 1} more files of the split." if len(names) > 1 else ""
            note(sentence.replace("\0", names[0]) + others)


def _read_file(file: Path, scratch: Path, options: ReadOptions, note: Note) -> pa.Table | None:
    """Reads a file; returns None if it has no rows."""
    try:
        return _write_and_map(read_batches(file, scratch, options, note), scratch)
    except (UnicodeError, pa.ArrowException) as error:
        reason = shorten(str(error), 120)
        if (isinstance(error, UnicodeError) or "UTF8" in reason) and (
            explanation := _explain_encoding(file, scratch, note)
        ):
            raise UserError(explanation) from error
        if "straddl" in reason:
            raise UserError(f"{file} has a row of more than 64 MB: check for a quote that is not closed") from error
        raise UserError(f"{file} cannot be read as {ending_of(file)[1:]}: {reason}") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(
                f"{scratch} has no space for the rows of {file}: set work to a folder on a larger disk"
            ) from error
        raise UserError(f"cannot read {file}: {error}") from error


def _explain_encoding(file: Path, scratch: Path, note: Note) -> str | None:
    with open_plain(file, scratch, ReadOptions(), note) as plain:
        undecodable = find_undecodable(plain, "utf-8")
    if undecodable is None:
        return None
    line, context = undecodable
    try:
        guess = f"cp1252 gives '{shorten(context.decode('cp1252'), 30)}'"
    except UnicodeDecodeError:
        guess = "such as cp1252"
    return f"line {line} of {file} is not UTF-8: set read_options='{{encoding: …}}' ({guess}), or save it as UTF-8"


def _write_and_map(batches: Iterator[pa.RecordBatch], scratch: Path) -> pa.Table | None:
    """Writes batches to disk in the format of memory and maps the file; returns None if there are no rows."""
    first = next(batches, None)
    if first is None:
        return None
    scratch.mkdir(parents=True, exist_ok=True)
    mapped = scratch / "rows.arrows"
    try:
        with pa.OSFile(str(mapped), "wb") as sink, pa.ipc.new_stream(sink, first.schema) as writer:
            for batch in itertools.chain([first], batches):
                writer.write_batch(batch)
        table = pa.ipc.open_stream(pa.memory_map(str(mapped))).read_all()
        return table if table.num_rows else None
    finally:
        # An unlinked file is deleted with the table, even if the process is killed.
        mapped.unlink(missing_ok=True)


def _concat(split: str, tables: dict[Path, pa.Table], note: Note) -> pa.Table:
    """Concatenates the files of a split; the type of each column holds the values of all files.

    Raises:
        UserError: A delimited file has other columns than the first one, or types are incompatible.
    """
    merge_class_names((str(file), class_names_from_schema(table.schema)) for file, table in tables.items())
    (first, expected), *others = tables.items()
    for file, table in others:
        different = set(expected.column_names) ^ set(table.column_names)
        if different and ending_of(file) in (".csv", ".tsv", ".txt"):
            raise UserError(
                f"{file} has other columns ({list_names(table.column_names, 60)}) than {first.name} "
                f"({list_names(expected.column_names, 60)}): check that each file has a header"
            )
    try:
        return pa.concat_tables(tables.values(), promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return _concat_as_text(split, tables, note)


def _concat_as_text(split: str, tables: dict[Path, pa.Table], note: Note) -> pa.Table:
    """Concatenates files of which some have texts in a column and others numbers: the numbers become texts."""
    kinds: dict[str, set[pa.DataType]] = {}
    for table in tables.values():
        for field in table.schema:
            kinds.setdefault(field.name, set()).add(field.type)
    mixed = [name for name, types in kinds.items() if pa.string() in types and len(types) > 1]
    converted = []
    try:
        for table in tables.values():
            for index, field in enumerate(table.schema):
                if field.name in mixed:
                    table = table.set_column(index, field.name, table.column(index).cast(pa.string()))
            converted.append(table)
        joined = pa.concat_tables(converted, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        folder = next(iter(tables)).parent
        reason = shorten(str(error), 120)
        raise UserError(
            f"the files of the {split} split in {folder} have columns of different types: {reason}"
        ) from error
    note(f"Columns of the {split} split that are text in only some files were read as text: {list_names(mixed)}.")
    return joined
