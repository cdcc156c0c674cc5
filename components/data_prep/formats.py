"""The formats that files come in, each read as a stream of record batches."""

import itertools
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from compaware.components.core.errors import UserError

# One row of CSV must fit in a block.
_BLOCK_BYTES = 1 << 26
_BATCH_ROWS = 10_000
# A JSON list is one value, which the parser takes whole, in some four times as much memory.
_MAX_JSON_LIST_BYTES = 1 << 29
_SECONDS_BETWEEN_LINES = 10.0
log = logging.getLogger(__name__)

# A batch of rows of a JSON file, and the type of each column; None where values of several types are kept as texts.
_Rows = list[dict[str, Any]]
_Types = dict[str, pa.DataType | None]
_Batch = TypeVar("_Batch", pa.RecordBatch, _Rows)


def _read_csv(file: Path) -> Iterator[pa.RecordBatch]:
    return _read_delimited(file, delimiter=",", quotes=True)


def _read_tsv(file: Path) -> Iterator[pa.RecordBatch]:
    # Neither the format as registered nor GLUE's files know quoting: a quote there is a part of the text.
    return _read_delimited(file, delimiter="\t", quotes=False)


def _read_delimited(file: Path, delimiter: str, *, quotes: bool) -> Iterator[pa.RecordBatch]:
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
    with pyarrow.csv.open_csv(file, read_options=reading, parse_options=parsing, convert_options=types) as stream:
        yield from _counted(stream, file)


def _read_parquet(file: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(file, memory_map=True) as parquet:
        yield from _counted(parquet.iter_batches(batch_size=_BATCH_ROWS), file)


def _read_json(file: Path) -> Iterator[pa.RecordBatch]:
    """Reads a list of objects, or an object a line; both are called .json in the wild."""
    batches: Callable[[], Iterable[_Rows]] = partial(_line_batches, file)
    if _is_list(file):
        batches = partial(iter, list(_list_batches(file)))
    types = _find_types(batches)
    for rows in batches():
        yield pa.record_batch({name: _column([row.get(name) for row in rows], kind) for name, kind in types.items()})


def _counted(batches: Iterable[_Batch], file: Path) -> Iterator[_Batch]:
    """Logs how far the reading of a large file has come."""
    rows, said = 0, time.monotonic()
    for batch in batches:
        yield batch
        rows += len(batch)
        if time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            log.info("%d rows of %s read", rows, file)


def _is_list(file: Path) -> bool:
    with file.open(encoding="utf-8-sig") as stream:
        while (character := stream.read(1)).isspace():
            pass
    return character == "["


def _list_batches(file: Path) -> Iterator[_Rows]:
    if file.stat().st_size > _MAX_JSON_LIST_BYTES:
        raise UserError(
            f"{file} is one JSON list of more than {_MAX_JSON_LIST_BYTES >> 20} MB, which cannot be read in parts: "
            "write it as JSON lines, an object a line"
        )
    rows = _parse(file.read_text(encoding="utf-8-sig"), file)
    return (_objects(rows[start : start + _BATCH_ROWS], file) for start in range(0, len(rows), _BATCH_ROWS))


def _line_batches(file: Path) -> Iterator[_Rows]:
    # A file's lines, unlike splitlines(), end at line feeds only: JSON may hold Unicode's other separators as they are.
    with file.open(encoding="utf-8-sig") as stream:
        lines = (line for line in stream if line.strip())
        batches = iter(lambda: list(itertools.islice(lines, _BATCH_ROWS)), [])
        yield from _counted((_objects([_parse(line, file) for line in batch], file) for batch in batches), file)


def _parse(text: str, file: Path) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{file} is not JSON: {error}") from error


def _objects(values: list[Any], file: Path) -> _Rows:
    wrong = next((value for value in values if not isinstance(value, dict)), None)
    if wrong is not None:
        raise UserError(f"{file} must hold objects with the columns as keys, not {json.dumps(wrong)[:40]}")
    return values


def _find_types(batches: Callable[[], Iterable[_Rows]]) -> _Types:
    """Finds for each column the type that holds all of its values, as if it were converted in one piece.

    Args:
        batches: Gives the rows from the start; called again where a type had to be widened after the first rows that
            it is for, so that these are tried with the wider one.
    """
    types: _Types = {}
    widened = True
    while widened:
        widened = False
        for rows in batches():
            for name in dict.fromkeys(name for row in rows for name in row):
                before = types.get(name, pa.null())
                types[name] = found = _widen(before, [row.get(name) for row in rows])
                widened |= found is not None and before not in (found, pa.null())
    return types


def _widen(known: pa.DataType | None, values: list[Any]) -> pa.DataType | None:
    """The type of these values and of those that `known` is the type of."""
    if known is None:
        return None
    try:
        found = pa.array(values).type
        if found == known:
            return known
        schemas = [pa.schema({"column": kind}) for kind in (known, found)]
        both = pa.unify_schemas(schemas, promote_options="permissive").field("column").type
        return pa.array(values, both).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None


def _column(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    if kind is not None:
        return pa.array(values, kind)
    # Values of several types: texts stay, the rest is written as JSON.
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pa.array(texts, pa.string())


FORMATS: dict[str, Callable[[Path], Iterator[pa.RecordBatch]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".json": _read_json,
    ".jsonl": _read_json,
    ".parquet": _read_parquet,
}
