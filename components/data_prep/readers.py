"""Files to tables: CSV, TSV, JSON, JSON lines and Parquet; a file, or a folder with a file or sub-folder per split."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from compaware.components.core.errors import UserError

# Names that a split goes by in folders and on the hub, the best first.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "validation_matched", "dev", "dev_matched", "val", "valid", "eval"),
    "validation_mismatched": ("validation_mismatched", "dev_mismatched"),
    "test": ("test", "test_matched"),
}
# One row must fit in a block.
_BLOCK_BYTES = 1 << 26


def read_files(path: Path) -> dict[str, pa.Table]:
    """Reads local data.

    Args:
        path: A file, which is the training split, or a folder with `train.csv`, `train-00000-of-00002.parquet`,
            `train/…` and the like, and the same for validation (or dev) and test where they exist.

    Returns:
        A table for each split found, `train` among them.

    Raises:
        UserError: There is no training file, an ending is not supported, or a file cannot be read as what it says.
    """
    if path.is_file():
        return {"train": _read_file(path)}
    files = {split: _files_of(path, names) for split, names in SPLIT_NAMES.items()}
    if not files["train"]:
        present = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
        raise UserError(f"{path} has no training split: name a file train.csv (or {_endings()}); it holds {present}")
    return {split: _concat([_read_file(file) for file in found], path) for split, found in files.items() if found}


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


def _read_file(file: Path) -> pa.Table:
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise UserError(f"{file} has an unsupported ending '{file.suffix}': choose from {_endings()}")
    try:
        table = reader(file)
    except (UnicodeError, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, UnicodeError) or "UTF8" in reason:
            raise UserError(f"{file} is not UTF-8: save it in that encoding ({reason})") from error
        raise UserError(f"{file} cannot be read as {file.suffix[1:]}: {reason}") from error
    except OSError as error:
        raise UserError(f"cannot read {file}: {error}") from error
    if table.num_rows == 0:
        raise UserError(f"{file} has no rows: give a file with some, or leave it out")
    return table


def _read_csv(file: Path) -> pa.Table:
    return _read_delimited(file, delimiter=",", quotes=True)


def _read_tsv(file: Path) -> pa.Table:
    # Neither the format as registered nor GLUE's files know quoting: a quote there is a part of the text.
    return _read_delimited(file, delimiter="\t", quotes=False)


def _read_delimited(file: Path, delimiter: str, *, quotes: bool) -> pa.Table:
    """Reads all columns as text: a sentence "null", "NA" or "007" is that sentence."""
    parsing = pyarrow.csv.ParseOptions(
        delimiter=delimiter, quote_char='"' if quotes else False, newlines_in_values=quotes
    )
    reading = pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES)
    if file.stat().st_size == 0:
        raise UserError(f"{file} is empty: give a file with a header and rows")
    with pyarrow.csv.open_csv(file, read_options=reading, parse_options=parsing) as stream:
        names = stream.schema.names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{file} has the column '{twice}' twice: rename one")
    types = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, quoted_strings_can_be_null=False
    )
    return pyarrow.csv.read_csv(file, read_options=reading, parse_options=parsing, convert_options=types)


def _read_json(file: Path) -> pa.Table:
    """Reads a list of objects, or an object a line; both are called .json in the wild."""
    text = file.read_text(encoding="utf-8-sig")
    try:
        if text.lstrip().startswith("["):
            rows = json.loads(text)
        else:
            # Not splitlines(): JSON may hold the other line separators of Unicode as they are.
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    except json.JSONDecodeError as error:
        raise UserError(f"{file} is not JSON: {error}") from error
    wrong = next((row for row in rows if not isinstance(row, dict)), None)
    if wrong is not None:
        raise UserError(f"{file} must hold objects with the columns as keys, not {json.dumps(wrong)[:40]}")
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # Values of several types: texts stay, the rest is written as JSON.
        return pa.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])


def _read_parquet(file: Path) -> pa.Table:
    return pq.read_table(file)


_READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".json": _read_json,
    ".jsonl": _read_json,
    ".parquet": _read_parquet,
}


def _endings() -> str:
    return ", ".join(_READERS)


def _concat(tables: list[pa.Table], folder: Path) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(f"the files of one split in {folder} have columns of different types: {error}") from error
