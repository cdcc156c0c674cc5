"""Files to tables that stay on disk: a file, or a folder with a file or a sub-folder for each split."""

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
from compaware.components.data_prep.tables.decoding import Note, find_undecodable, open_plain
from compaware.components.data_prep.tables.folders import find_splits
from compaware.components.data_prep.tables.formats import ending_of, read_batches
from compaware.components.data_prep.wording import list_names, shorten

# Metadata of a split's table: its files in order, and the rows of each.
FILES = b"compaware.files"
log = logging.getLogger(__name__)


def read_files(
    path: Path,
    scratch: Path,
    options: ReadOptions | None = None,
    config: str | None = None,
    note: Note = log.info,
) -> dict[str, pa.Table]:
    """Reads local data, of any size: the tables lie on disk and are mapped into memory.

    Args:
        path: A file, which is the training split, or a folder with `train.csv`, `train-00000-of-00002.parquet`,
            `train/…` and the like, and the same for validation (or dev) and test where they exist; or a folder as
            `folders.find_splits` knows more.
        scratch: Folder on a disk that has room for all the data, uncompressed.
        options: What the user said of the files' dialect and encoding; guessed by default.
        config: Which data set of a folder that holds several, as hub repositories may.
        note: Called with a sentence about each thing that was guessed, replaced or left out.

    Returns:
        A table for each split found, `train` among them.

    Raises:
        UserError: There is no training file, an ending is not supported, or a file cannot be read as what it says.
    """
    files = {"train": [path]} if path.is_file() else find_splits(path, config, note)
    options = options or ReadOptions()
    return {split: _read_split(split, found, scratch, options, note) for split, found in files.items()}


def _read_split(split: str, files: list[Path], scratch: Path, options: ReadOptions, note: Note) -> pa.Table:
    tables = _read_shards(files, scratch, options, note)
    empty = [file for file, table in tables.items() if table is None]
    if len(empty) == len(files):
        reason = "is empty" if files[0].stat().st_size == 0 else "has no rows"
        raise UserError(f"{files[0]} {reason}: give a file with some, or leave it out")
    if empty:
        note(f"Files of the {split} split without rows: {list_names(file.name for file in empty)}.")
    found = {file: table for file, table in tables.items() if table is not None}
    table = _concat(split, found, note)
    shards = json.dumps([(str(file), shard.num_rows) for file, shard in found.items()])
    return table.replace_schema_metadata({**(table.schema.metadata or {}), FILES: shards.encode()})


def _read_shards(files: list[Path], scratch: Path, options: ReadOptions, note: Note) -> dict[Path, pa.Table | None]:
    """The rows of each file; what is noted of several files is said of the first, with the number of the others."""
    said: dict[str, list[str]] = {}
    try:
        tables = {}
        for file in files:

            def collect(sentence: str, name: str = file.name) -> None:
                said.setdefault(sentence.replace(name, "\0"), []).append(name)

            tables[file] = _read_file(file, scratch, options, collect)
        return tables
    finally:
        for sentence, names in said.items():
            others = f" The same is true of {len(names) - 1} more files of the split." if len(names) > 1 else ""
            note(sentence.replace("\0", names[0]) + others)


def _read_file(file: Path, scratch: Path, options: ReadOptions, note: Note) -> pa.Table | None:
    """A file's rows; None where there are none."""
    try:
        return _map(read_batches(file, scratch, options, note), scratch)
    except (UnicodeError, pa.ArrowException) as error:
        reason = shorten(str(error), 120)
        if (isinstance(error, UnicodeError) or "UTF8" in reason) and (wrong := _undecodable(file, scratch, note)):
            raise UserError(wrong) from error
        if "straddl" in reason:
            raise UserError(f"{file} has a row of more than 64 MB: is a quote not closed?") from error
        raise UserError(f"{file} cannot be read as {ending_of(file)[1:]}: {reason}") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(f"{scratch} has no room for the rows of {file}: set work to a larger disk") from error
        raise UserError(f"cannot read {file}: {error}") from error


def _undecodable(file: Path, scratch: Path, note: Note) -> str | None:
    with open_plain(file, scratch, ReadOptions(), note) as plain:
        found = find_undecodable(plain, "utf-8")
    if found is None:
        return None
    line, around = found
    try:
        guess = f"cp1252 would be '{shorten(around.decode('cp1252'), 30)}'"
    except UnicodeDecodeError:
        guess = "such as cp1252"
    return f"{file} is not UTF-8 in line {line}: set read_options='{{encoding: …}}' ({guess}), or save it as UTF-8"


def _map(batches: Iterator[pa.RecordBatch], scratch: Path) -> pa.Table | None:
    """Writes batches to disk as they are in memory, and maps them; None where there are no rows."""
    first = next(batches, None)
    if first is None:
        return None
    scratch.mkdir(parents=True, exist_ok=True)
    written = scratch / "rows.arrows"
    try:
        with pa.OSFile(str(written), "wb") as sink, pa.ipc.new_stream(sink, first.schema) as writer:
            for batch in itertools.chain([first], batches):
                writer.write_batch(batch)
        table = pa.ipc.open_stream(pa.memory_map(str(written))).read_all()
        return table if table.num_rows else None
    finally:
        # Without a name, the file goes when the table does, however the process ends.
        written.unlink(missing_ok=True)


def _concat(split: str, tables: dict[Path, pa.Table], note: Note) -> pa.Table:
    """All files of a split as one table, with the type for each column that holds the values of all files.

    Raises:
        UserError: A delimited file lacks a column of the first one, or types do not go together.
    """
    merge_class_names((str(file), class_names_from_schema(table.schema)) for file, table in tables.items())
    (first, expected), *others = tables.items()
    for file, table in others:
        different = set(expected.column_names) ^ set(table.column_names)
        if different and ending_of(file) in (".csv", ".tsv", ".txt"):
            raise UserError(
                f"{file} has other columns ({list_names(table.column_names, 60)}) than {first.name} "
                f"({list_names(expected.column_names, 60)}): has each file its header?"
            )
    try:
        return pa.concat_tables(tables.values(), promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return _concat_as_text(split, tables, note)


def _concat_as_text(split: str, tables: dict[Path, pa.Table], note: Note) -> pa.Table:
    """As `_concat`, where a column holds texts in one file and numbers in another: they are texts, as in one file."""
    kinds: dict[str, set[pa.DataType]] = {}
    for table in tables.values():
        for field in table.schema:
            kinds.setdefault(field.name, set()).add(field.type)
    mixed = [name for name, types in kinds.items() if pa.string() in types and len(types) > 1]
    cast = []
    try:
        for table in tables.values():
            for index, field in enumerate(table.schema):
                if field.name in mixed:
                    table = table.set_column(index, field.name, table.column(index).cast(pa.string()))
            cast.append(table)
        joined = pa.concat_tables(cast, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        where = next(iter(tables)).parent
        reason = shorten(str(error), 120)
        raise UserError(
            f"the files of the {split} split in {where} have columns of different types: {reason}"
        ) from error
    note(f"Columns of the {split} split that are texts in some files and not in others: {list_names(mixed)}.")
    return joined
