"""Files to tables that stay on disk: a file, or a folder with a file or a sub-folder for each split."""

import errno
import itertools
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from compaware.components.core.errors import UserError
from compaware.components.data_prep.class_names import class_names_from_schema, merge_class_names
from compaware.components.data_prep.formats import FORMATS

# Names that a split goes by in folders and on the hub, the best first.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "validation_matched", "dev", "dev_matched", "val", "valid", "eval"),
    "validation_mismatched": ("validation_mismatched", "dev_mismatched"),
    "test": ("test", "test_matched"),
}


def read_files(path: Path, scratch: Path) -> dict[str, pa.Table]:
    """Reads local data, of any size: the tables lie on disk and are mapped into memory.

    Args:
        path: A file, which is the training split, or a folder with `train.csv`, `train-00000-of-00002.parquet`,
            `train/…` and the like, and the same for validation (or dev) and test where they exist.
        scratch: Folder on a disk that has room for all the data, uncompressed.

    Returns:
        A table for each split found, `train` among them.

    Raises:
        UserError: There is no training file, an ending is not supported, or a file cannot be read as what it says.
    """
    if path.is_file():
        return {"train": _read_file(path, scratch)}
    files = {split: _files_of(path, names) for split, names in SPLIT_NAMES.items()}
    if not files["train"]:
        present = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
        raise UserError(f"{path} has no training split: name a file train.csv (or {_endings()}); it holds {present}")
    return {
        split: _concat([_read_file(file, scratch) for file in found], path) for split, found in files.items() if found
    }


def _files_of(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """The files of one split, by the first of its names that there is."""
    for name in names:
        if (folder / name).is_dir():
            return sorted(file for file in (folder / name).iterdir() if file.is_file() and file.name[0] not in "._")
        found = sorted(file for file in folder.iterdir() if file.is_file() and _stem(file) == name)
        if len({file.suffix for file in found}) > 1:
            shown = " and ".join(file.name for file in found)
            raise UserError(f"{folder} has the {name} split twice: keep one of {shown}")
        if found:
            return found
    return []


def _stem(file: Path) -> str:
    """A file's name without its ending and shard number (`train-00000-of-00002`)."""
    stem, _, shard = file.stem.partition("-")
    return stem if not shard or shard[0].isdigit() else file.stem


def _read_file(file: Path, scratch: Path) -> pa.Table:
    read = FORMATS.get(file.suffix.lower())
    if read is None:
        raise UserError(f"{file} has an unsupported ending '{file.suffix}': choose from {_endings()}")
    try:
        table = _map(read(file), scratch)
    except (UnicodeError, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, UnicodeError) or "UTF8" in reason:
            raise UserError(f"{file} is not UTF-8: save it in that encoding ({reason})") from error
        raise UserError(f"{file} cannot be read as {file.suffix[1:]}: {reason}") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(f"{scratch} has no room for the rows of {file}: set work to a larger disk") from error
        raise UserError(f"cannot read {file}: {error}") from error
    if table is None or table.num_rows == 0:
        raise UserError(f"{file} has no rows: give a file with some, or leave it out")
    return table


def _map(batches: Iterator[pa.RecordBatch], scratch: Path) -> pa.Table | None:
    """Writes batches to disk as they are in memory, and maps them; None where there are none."""
    first = next(batches, None)
    if first is None:
        return None
    scratch.mkdir(parents=True, exist_ok=True)
    written = scratch / "rows.arrows"
    try:
        with pa.OSFile(str(written), "wb") as sink, pa.ipc.new_stream(sink, first.schema) as writer:
            for batch in itertools.chain([first], batches):
                writer.write_batch(batch)
        return pa.ipc.open_stream(pa.memory_map(str(written))).read_all()
    finally:
        # Without a name, the file goes when the table does, however the process ends.
        written.unlink(missing_ok=True)


def _endings() -> str:
    return ", ".join(FORMATS)


def _concat(tables: list[pa.Table], folder: Path) -> pa.Table:
    merge_class_names((f"a file in {folder}", class_names_from_schema(table.schema)) for table in tables)
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(f"the files of one split in {folder} have columns of different types: {error}") from error
