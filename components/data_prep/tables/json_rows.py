"""Reads rows from JSON: one object per line, a list of objects, or one of the layouts of pandas."""

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.messages import list_names, shorten
from compaware.components.data_prep.tables.decoding import Note

BATCH_ROWS = 10_000
# The parser reads a document as a whole, which takes some four times as much memory.
_MAX_DOCUMENT_BYTES = 1 << 29
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

# A batch of rows, and the type of each column; None if values of several types are converted to texts.
_Rows = list[dict[str, Any]]
_Types = dict[str, pa.DataType | None]


def read_json_rows(plain: Path, file: Path, note: Note, *, lines: bool) -> Iterator[pa.RecordBatch]:
    """Reads objects, one per line or in one document, regardless of the extension.

    NaN, which Python writes although it is not JSON, is read as a missing value.

    Args:
        plain: The file, decompressed and in UTF-8.
        file: The user's file, for messages.
        note: Called with a sentence about each guess and replacement.
        lines: Whether a single line is a row; otherwise it is a document.

    Raises:
        UserError: A line or the document is not JSON, or does not hold rows.
    """
    if _has_lines(plain, single=lines):
        types = _find_types(partial(_line_batches, plain, file, lambda _: None))
        batches: Iterable[_Rows] = _line_batches(plain, file, note)
    else:
        batches = list(_document_batches(plain, file, note))
        types = _find_types(partial(iter, batches))
    for rows in batches:
        yield pa.record_batch({name: _column([row.get(name) for row in rows], kind) for name, kind in types.items()})


def _has_lines(plain: Path, *, single: bool) -> bool:
    """Whether the first line is a complete object, and one of several lines unless `single`."""
    with plain.open(encoding="utf-8-sig") as stream:
        first = next((line for line in stream if line.strip()), "")
        others = any(line.strip() for line in stream)
    if not first.lstrip().startswith("{"):
        return False
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        # The first line is broken; a file that is too large for a document must have lines.
        return plain.stat().st_size > _MAX_DOCUMENT_BYTES
    return others or single


def _line_batches(plain: Path, file: Path, note: Note) -> Iterator[_Rows]:
    # Iterating a file splits only at line feeds, unlike splitlines(): JSON may contain other Unicode separators.
    parser = _Parser(file)
    with plain.open(encoding="utf-8-sig") as stream:
        lines = ((number, line) for number, line in enumerate(stream, 1) if line.strip())
        while batch := list(itertools.islice(lines, BATCH_ROWS)):
            yield [parser.parse_row(line, number) for number, line in batch]
    parser.note_replaced(note)


def _document_batches(plain: Path, file: Path, note: Note) -> Iterator[_Rows]:
    if plain.stat().st_size > _MAX_DOCUMENT_BYTES:
        raise UserError(
            f"{file} is one JSON list of more than {_MAX_DOCUMENT_BYTES >> 20} MB, which cannot be read in parts: "
            "write it as JSON lines, one object per line"
        )
    parser = _Parser(file)
    values = parser.parse_all(plain.read_text(encoding="utf-8-sig"))
    parser.note_replaced(note)
    rows = values if len(values) != 1 else values[0]
    if isinstance(rows, dict):
        rows = _rows_of_object(rows, file, note)
    if not isinstance(rows, list):
        rows = [rows]
    for number, row in enumerate(rows, 1):
        _check_object(row, f"row {number} of {file}")
    return (rows[start : start + BATCH_ROWS] for start in range(0, len(rows), BATCH_ROWS))


class _Parser:
    """Parses JSON and replaces lone surrogates, which texts cannot contain."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._decoder = json.JSONDecoder(object_pairs_hook=self._object, parse_constant=_constant)
        self._duplicate_key: str | None = None
        self._replaced = 0
        self._first_replaced = ""

    def parse_row(self, line: str, number: int) -> dict[str, Any]:
        where = f"line {number} of {self._file}"
        try:
            value = self._decoder.decode(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where} is not JSON: {error.msg} (column {error.colno})") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where} cannot be read: {shorten(str(error), 100)}") from error
        self._check_keys(where)
        if _SURROGATE.search(line):
            value = self._replace_surrogates(value, f"line {number}")
        return _check_object(value, where)

    def parse_all(self, text: str) -> list[Any]:
        """Parses all values of a document, one after the other."""
        values = []
        end = _skip_blanks(text, 0)
        while end < len(text):
            try:
                value, end = self._decoder.raw_decode(text, end)
            except json.JSONDecodeError as error:
                raise UserError(
                    f"{self._file} is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
                ) from error
            except (ValueError, RecursionError) as error:
                raise UserError(f"{self._file} cannot be read: {shorten(str(error), 100)}") from error
            values.append(value)
            end = _skip_blanks(text, end)
        if not values:
            return []
        self._check_keys(f"{self._file}")
        return [self._replace_surrogates(value, "") for value in values] if _SURROGATE.search(text) else values

    def note_replaced(self, note: Note) -> None:
        if self._replaced:
            first = f", the first in {self._first_replaced}" if self._first_replaced else ""
            note(
                f"Lone surrogates (halves of emoji) in {self._file.name} were replaced by U+FFFD: {self._replaced} "
                f"texts{first}."
            )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            self._duplicate_key = next(name for name in names if names.count(name) > 1)
        return value

    def _check_keys(self, where: str) -> None:
        if self._duplicate_key is not None:
            key = shorten(self._duplicate_key, 60)
            raise UserError(f"{where} has the key '{key}' twice in one object: remove one")

    def _replace_surrogates(self, value: Any, where: str) -> Any:
        if isinstance(value, dict):
            return {
                self._replace_surrogates(name, where): self._replace_surrogates(inner, where)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self._replace_surrogates(inner, where) for inner in value]
        if not isinstance(value, str) or not any("\ud800" <= char <= "\udfff" for char in value):
            return value
        self._replaced += 1
        self._first_replaced = self._first_replaced or where
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)


def _skip_blanks(text: str, start: int) -> int:
    while start < len(text) and text[start] in " \t\r\n\x1e":
        start += 1
    return start


def _check_object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        excerpt = shorten(json.dumps(value, ensure_ascii=False), 40)
        raise UserError(f"{where} must be an object with the columns as keys, not {excerpt}")
    return value


def _rows_of_object(value: dict[str, Any], file: Path, note: Note) -> Any:
    """Finds the rows in a document that is one object.

    Raises:
        UserError: There are several lists of rows.
    """
    lists = [key for key, inner in value.items() if isinstance(inner, list) and inner and isinstance(inner[0], dict)]
    if len(lists) > 1:
        raise UserError(
            f"{file} is one object with several lists of rows ({list_names(lists)}): write each to its own file, "
            "such as train.json and validation.json, in one folder"
        )
    if lists:
        note(f"The rows of {file.name} are under its key '{shorten(lists[0], 60)}'.")
        return value[lists[0]]
    columns, rows = value.get("columns"), value.get("data")
    if isinstance(columns, list) and isinstance(rows, list) and all(isinstance(row, list) for row in rows):
        note(f"{file.name} has its column names and rows in separate lists.")
        wrong = next((number for number, row in enumerate(rows, 1) if len(row) != len(columns)), None)
        if wrong is not None:
            raise UserError(
                f"row {wrong} of {file} has {len(rows[wrong - 1])} values: write {len(columns)}, one per column"
            )
        return [dict(zip(columns, row, strict=True)) for row in rows]
    inner = list(value.values())
    if inner and all(isinstance(column, dict) for column in inner):
        if all(key.isdigit() for key in value) and not all(key.isdigit() for key in inner[0]):
            note(f"{file.name} has its rows under row numbers.")
            return inner
        inner = _columns_by_row(value, file)
    if len(inner) > 1 and all(isinstance(column, list) for column in inner):
        if len({len(column) for column in inner}) > 1:
            raise UserError(f"{file} has columns of different lengths: write it with orient='records'")
        note(f"{file.name} has its values by column.")
        return [dict(zip(value, row, strict=True)) for row in zip(*inner, strict=True)]
    return [value]


def _columns_by_row(value: dict[str, dict[str, Any]], file: Path) -> list[list[Any]]:
    """Converts the default layout of pandas, {column: {row: value}}, to lists of columns."""
    rows = list(next(iter(value.values())))
    if any(list(column) != rows for column in value.values()):
        raise UserError(
            f"{file} is an object of objects with different keys: write its rows with "
            "df.to_json(…, orient='records', lines=True)"
        )
    return [list(column.values()) for column in value.values()]


def _find_types(batches: Callable[[], Iterable[_Rows]]) -> _Types:
    """Finds the type of each column that holds all of its values, as if they were converted at once.

    Args:
        batches: Returns the rows from the start. Called again if a type was widened, to check earlier rows with it.
    """
    types: _Types = {}
    widened = True
    while widened:
        widened = False
        for rows in batches():
            for name in dict.fromkeys(name for row in rows for name in row):
                before = types.get(name, pa.null())
                types[name] = after = _widen(before, [row.get(name) for row in rows])
                widened |= after is not None and before not in (after, pa.null())
    return types


def _widen(known: pa.DataType | None, values: list[Any]) -> pa.DataType | None:
    """Returns the type that holds these values and all of type `known`; None if there is none."""
    if known is None:
        return None
    try:
        kind = pa.array(values).type
        if kind == known:
            return known
        schemas = [pa.schema({"column": kind}) for kind in (known, kind)]
        both = pa.unify_schemas(schemas, promote_options="permissive").field("column").type
        return pa.array(values, both).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None


def _column(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    if kind is not None:
        return pa.array(values, kind)
    # For values of several types, texts stay and the others are written as JSON; NaN and infinity are missing.
    values = [None if isinstance(value, float) and not math.isfinite(value) else value for value in values]
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pa.array(texts, pa.string())
