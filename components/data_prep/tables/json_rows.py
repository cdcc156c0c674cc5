"""Rows of JSON: an object a line, a list of objects, or one of the shapes that pandas writes."""

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
from compaware.components.data_prep.tables.decoding import Note
from compaware.components.data_prep.wording import list_names, shorten

BATCH_ROWS = 10_000
# A document is one value, which the parser takes whole, in some four times as much memory.
_MAX_DOCUMENT_BYTES = 1 << 29
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

# A batch of rows, and the type of each column; None where values of several types are kept as texts.
_Rows = list[dict[str, Any]]
_Types = dict[str, pa.DataType | None]


def read_json(plain: Path, file: Path, note: Note, *, lines: bool) -> Iterator[pa.RecordBatch]:
    """Reads objects, one a line or in one document, whatever the ending.

    NaN, which is no JSON but what Python writes for a missing value, is missing.

    Args:
        plain: The file, not compressed and in UTF-8.
        file: The file as the user knows it.
        note: Called with what was guessed or replaced.
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
    """Whether the first line is an object by itself, with others after it or not."""
    with plain.open(encoding="utf-8-sig") as stream:
        first = next((line for line in stream if line.strip()), "")
        others = any(line.strip() for line in stream)
    if not first.lstrip().startswith("{"):
        return False
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        # A first line that is broken, if the file is too large to be anything but lines.
        return plain.stat().st_size > _MAX_DOCUMENT_BYTES
    return others or single


def _line_batches(plain: Path, file: Path, note: Note) -> Iterator[_Rows]:
    # A file's lines, unlike splitlines(), end at line feeds only: JSON may hold Unicode's other separators as they are.
    parser = _Parser(file)
    with plain.open(encoding="utf-8-sig") as stream:
        lines = ((number, line) for number, line in enumerate(stream, 1) if line.strip())
        while batch := list(itertools.islice(lines, BATCH_ROWS)):
            yield [parser.parse_row(line, number) for number, line in batch]
    parser.say_replaced(note)


def _document_batches(plain: Path, file: Path, note: Note) -> Iterator[_Rows]:
    if plain.stat().st_size > _MAX_DOCUMENT_BYTES:
        raise UserError(
            f"{file} is one JSON list of more than {_MAX_DOCUMENT_BYTES >> 20} MB, which cannot be read in parts: "
            "write it as JSON lines, an object a line"
        )
    parser = _Parser(file)
    values = parser.parse_all(plain.read_text(encoding="utf-8-sig"))
    parser.say_replaced(note)
    rows = values if len(values) != 1 else values[0]
    if isinstance(rows, dict):
        rows = _rows_of_object(rows, file, note)
    if not isinstance(rows, list):
        rows = [rows]
    for number, row in enumerate(rows, 1):
        _check_object(row, f"row {number} of {file}")
    return (rows[start : start + BATCH_ROWS] for start in range(0, len(rows), BATCH_ROWS))


class _Parser:
    """Parses JSON, and replaces halves of surrogate pairs, which no text can hold."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._decoder = json.JSONDecoder(object_pairs_hook=self._object, parse_constant=_constant)
        self._twice: str | None = None
        self._replaced = 0
        self._first = ""

    def parse_row(self, line: str, number: int) -> dict[str, Any]:
        where = f"line {number} of {self._file}"
        try:
            value = self._decoder.decode(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where} is not JSON: {error.msg} (column {error.colno})") from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where} cannot be read: {shorten(str(error), 100)}") from error
        self._refuse_twice(where)
        if _SURROGATE.search(line):
            value = self._mend(value, f"line {number}")
        return _check_object(value, where)

    def parse_all(self, text: str) -> list[Any]:
        """All values that follow each other."""
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
        self._refuse_twice(f"{self._file}")
        return [self._mend(value, "") for value in values] if _SURROGATE.search(text) else values

    def say_replaced(self, note: Note) -> None:
        if self._replaced:
            first = f", the first in {self._first}" if self._first else ""
            note(
                f"Lone surrogates (halves of emoji) in {self._file.name} were replaced by U+FFFD: {self._replaced} "
                f"texts{first}."
            )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            self._twice = next(name for name in names if names.count(name) > 1)
        return found

    def _refuse_twice(self, where: str) -> None:
        if self._twice is not None:
            raise UserError(f"{where} has the key '{shorten(self._twice, 60)}' twice in one object: remove one")

    def _mend(self, value: Any, where: str) -> Any:
        if isinstance(value, dict):
            return {self._mend(name, where): self._mend(inner, where) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._mend(inner, where) for inner in value]
        if not isinstance(value, str) or not any("\ud800" <= sign <= "\udfff" for sign in value):
            return value
        self._replaced += 1
        self._first = self._first or where
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)


def _skip_blanks(text: str, start: int) -> int:
    while start < len(text) and text[start] in " \t\r\n\x1e":
        start += 1
    return start


def _check_object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        shown = shorten(json.dumps(value, ensure_ascii=False), 40)
        raise UserError(f"{where} must be an object with the columns as keys, not {shown}")
    return value


def _rows_of_object(value: dict[str, Any], file: Path, note: Note) -> Any:
    """Finds the rows in a document that is one object.

    Raises:
        UserError: There are several lists of rows.
    """
    lists = [key for key, inner in value.items() if isinstance(inner, list) and inner and isinstance(inner[0], dict)]
    if len(lists) > 1:
        raise UserError(
            f"{file} is one object with several lists of rows ({list_names(lists)}): write each to a file of its own, "
            "such as train.json and validation.json, in one folder"
        )
    if lists:
        note(f"The rows of {file.name} are under its key '{shorten(lists[0], 60)}'.")
        return value[lists[0]]
    columns, rows = value.get("columns"), value.get("data")
    if isinstance(columns, list) and isinstance(rows, list) and all(isinstance(row, list) for row in rows):
        note(f"{file.name} has names of columns apart from rows.")
        wrong = next((number for number, row in enumerate(rows, 1) if len(row) != len(columns)), None)
        if wrong is not None:
            raise UserError(f"row {wrong} of {file} has {len(rows[wrong - 1])} values for {len(columns)} columns")
        return [dict(zip(columns, row, strict=True)) for row in rows]
    inner = list(value.values())
    if inner and all(isinstance(column, dict) for column in inner):
        if all(key.isdigit() for key in value) and not all(key.isdigit() for key in inner[0]):
            note(f"{file.name} has its rows under their numbers.")
            return inner
        inner = _columns_by_row(value, file)
    if len(inner) > 1 and all(isinstance(column, list) for column in inner):
        if len({len(column) for column in inner}) > 1:
            raise UserError(f"{file} has columns of different length: write it with orient='records'")
        note(f"{file.name} is written by columns.")
        return [dict(zip(value, row, strict=True)) for row in zip(*inner, strict=True)]
    return [value]


def _columns_by_row(value: dict[str, dict[str, Any]], file: Path) -> list[list[Any]]:
    """Columns of pandas' default, {column: {row: value}}, as lists in the order of rows."""
    rows = list(next(iter(value.values())))
    if any(list(column) != rows for column in value.values()):
        raise UserError(
            f"{file} is one object of objects that do not have the same keys: write its rows with "
            "df.to_json(…, orient='records', lines=True)"
        )
    return [list(column.values()) for column in value.values()]


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
    # Values of several types: texts stay, the rest is written as JSON; what is not there in JSON is missing.
    known = [None if isinstance(value, float) and not math.isfinite(value) else value for value in values]
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in known]
    return pa.array(texts, pa.string())
