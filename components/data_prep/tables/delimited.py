"""Reads CSV and similar files: guesses their dialect and yields record batches, without losing a row."""

import csv
import io
import logging
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.config import ReadOptions
from compaware.components.data_prep.messages import shorten
from compaware.components.data_prep.tables.decoding import Note
from compaware.components.data_prep.tables.headers import looks_like_data
from compaware.components.data_prep.tables.merged import find_merged_row
from compaware.components.data_prep.tables.quotes import (
    Quotes,
    count_lines,
    is_well_formed,
    read_quotes,
    rewrite_backslashes,
)

# A row must fit in a block.
_BLOCK_BYTES = 1 << 26
_SAMPLE_BYTES = 1 << 16
_DELIMITERS = (",", "\t", ";", "|")
# A delimiter is accepted if at least this share of the sampled rows has as many cells as the header.
_MIN_AGREEMENT = 0.8
_DELIMITER_NAMES = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "vertical bars"}
# Notes about guessed quoting, for files with tabs (True) and with other delimiters.
_QUOTING_NOTES = {
    ("backslash", True): "Backslashes escape quotes",
    ("backslash", False): "Backslashes escape quotes",
    ("double", True): "Quotes enclose cells",
    ("none", True): "Quotes are part of the texts",
}
# A first line in which Excel names the delimiter.
_SEPARATOR_LINE = re.compile(r"sep=([!#-&(-/:;<=>?@^_|~\t ])\r?\n")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Dialect:
    delimiter: str
    quoting: str
    skip_rows: int


def read_delimited(
    plain: Path, file: Path, scratch: Path, options: ReadOptions, note: Note, default_delimiter: str
) -> Iterator[pa.RecordBatch]:
    """Reads all columns as text: "null", "NA" and "007" stay as they are.

    Args:
        plain: The file, decompressed and in UTF-8.
        file: The user's file, for messages.
        scratch: Folder for a copy in another dialect.
        options: What the user set of the dialect.
        note: Called with a sentence about each guess.
        default_delimiter: The usual delimiter of files with this extension.

    Raises:
        UserError: A row has more or fewer cells than the header, a quote is not closed, or two columns have one name.
    """
    if plain.stat().st_size == 0:
        return
    copy = scratch / "doubled-quotes"
    try:
        with plain.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            dialect = _guess_dialect(data, file, options, note, default_delimiter)
            source = plain
            if dialect.quoting == "backslash":
                quotes = read_quotes(data, dialect.delimiter, "backslash")
                with copy.open("wb") as target:
                    outside = quotes.inside_escaped > 0 or (not quotes.enclosed and _is_uneven(data, dialect.delimiter))
                    rewrite_backslashes(data, dialect.delimiter, target, outside=outside)
                source = copy
            yield from _parse(source, data, file, dialect, options, note)
    finally:
        copy.unlink(missing_ok=True)


def _guess_dialect(data: mmap.mmap, file: Path, options: ReadOptions, note: Note, default_delimiter: str) -> _Dialect:
    sample = data[:_SAMPLE_BYTES].decode("utf-8-sig", "replace")
    separator = _SEPARATOR_LINE.match(sample)
    delimiter = options.delimiter or (
        separator[1] if separator else _guess_delimiter(sample, default_delimiter, whole=len(data) <= _SAMPLE_BYTES)
    )
    if delimiter != default_delimiter and not options.delimiter:
        name = _DELIMITER_NAMES.get(delimiter, delimiter)
        note(f"The columns of {file.name} are separated by {name} (read_options.delimiter).")
    quoting: str | None = options.quoting
    if data.find(b'"') < 0 and quoting != "backslash":
        # If there are no quotes, rows end at line ends, which is faster to parse.
        quoting = "none"
    elif quoting is None:
        quoting = guessed = _guess_quoting(data, delimiter, file)
        if quoting_note := _QUOTING_NOTES.get((guessed, delimiter == "\t")):
            note(f"{quoting_note} in {file.name} (read_options.quoting).")
    elif quoting == "backslash" or (quoting == "double" and not is_well_formed(data, delimiter)):
        position = read_quotes(data, delimiter, quoting).broken
        if position is not None:
            raise _unclosed_quote(data, position, file)
    return _Dialect(delimiter, quoting, 1 if separator else 0)


def _guess_delimiter(sample: str, default: str, *, whole: bool) -> str:
    """Returns the delimiter with which most of the first rows have equally many cells, preferably the default."""
    candidates = [default, *(candidate for candidate in _DELIMITERS if candidate != default)]
    agreement: dict[str, float] = {}
    for candidate in candidates:
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            reader = csv.reader(io.StringIO(sample, newline=""), delimiter=candidate, quoting=quoting)
            try:
                rows = [row for row in reader if row]
            except csv.Error:
                continue
            rows = rows if whole or len(rows) < 2 else rows[:-1]
            if rows and len(rows[0]) > 1:
                share = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
                agreement[candidate] = max(share, agreement.get(candidate, 0.0))
    best = max(agreement.values(), default=0.0)
    if best < _MIN_AGREEMENT:
        return default
    return next(candidate for candidate in candidates if agreement.get(candidate) == best)


def _guess_quoting(data: mmap.mmap, delimiter: str, file: Path) -> str:
    """Guesses the quoting: `double`, `backslash` or `none`.

    In tab-separated files, such as those of GLUE, quotes are text, unless all of them look as if a program wrote them
    or the cells of the header are enclosed.

    Raises:
        UserError: A quote in a file with another delimiter is not closed.
    """
    tabs = delimiter == "\t"
    if not tabs and is_well_formed(data, delimiter):
        return "double"
    double = read_quotes(data, delimiter, "double")
    backslash = read_quotes(data, delimiter, "backslash")
    if backslash.broken is None and (
        (double.broken is not None and backslash.escaped) or 0 < double.inside == double.inside_escaped
    ):
        return "backslash"
    if tabs and not _encloses_header(data, delimiter):
        return "double" if double.broken is None and _look_generated(double, data) else "none"
    if double.broken is not None:
        raise _unclosed_quote(data, double.broken, file)
    return "double"


def _is_uneven(data: mmap.mmap, delimiter: str) -> bool:
    """Whether the number of delimiters differs between lines, so that some delimiters must be escaped."""
    data.seek(0)
    separator = delimiter.encode()
    return len({line.count(separator) for line in iter(data.readline, b"") if line.strip(b"\r\n")}) > 1


def _look_generated(quotes: Quotes, data: mmap.mmap) -> bool:
    """Whether only cells that need quotes are enclosed, or about one or more in each row."""
    rows = count_lines(data, len(data)) - quotes.lines_inside - 1
    return (
        quotes.enclosed > 0
        and not quotes.inside
        and (quotes.needed == quotes.enclosed or quotes.enclosed >= max(rows, 2))
    )


def _encloses_header(data: mmap.mmap, delimiter: str) -> bool:
    data.seek(0)
    names = data.readline().decode("utf-8-sig", "replace").strip("\r\n").split(delimiter)
    return all(len(name) > 2 and name[0] == name[-1] == '"' for name in names)


def _unclosed_quote(data: mmap.mmap, position: int, file: Path) -> UserError:
    line = count_lines(data, position) + 1
    excerpt = shorten(data[position : position + 200].decode("utf-8", "replace").splitlines()[0], 50)
    return UserError(
        f"line {line} of {file}: a cell begins with a quote that is not closed: {excerpt} - close it and double the "
        "quotes inside the cell, or set read_options='{quoting: none}' if quotes are text"
    )


def _parse(
    plain: Path, data: mmap.mmap, file: Path, dialect: _Dialect, options: ReadOptions, note: Note
) -> Iterator[pa.RecordBatch]:
    quotes = dialect.quoting != "none"
    # No handler for rows of another width: Arrow would call it in its own threads, which can abort the process.
    parsing = pyarrow.csv.ParseOptions(
        delimiter=dialect.delimiter, quote_char='"' if quotes else False, newlines_in_values=quotes
    )
    reading = pyarrow.csv.ReadOptions(
        block_size=_BLOCK_BYTES, skip_rows=dialect.skip_rows, column_names=options.column_names
    )
    first_row = next((cells for _, cells in _iterate_rows(plain, dialect, "strict")), [])
    if options.column_names == first_row:
        raise UserError(f"{file} already has a header with these names: remove read_options.column_names")
    names = options.column_names or first_row
    _check_names(names, file)
    types = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, quoted_strings_can_be_null=False
    )
    named = [index for index, name in enumerate(names) if name]
    unnamed = [index for index, name in enumerate(names) if not name]
    rows_with_unnamed = 0
    try:
        with pyarrow.csv.open_csv(plain, read_options=reading, parse_options=parsing, convert_options=types) as stream:
            for batch in stream:
                if quotes and options.quoting is None and (row := find_merged_row(batch, dialect.delimiter)):
                    raise _merged_rows(row, data, file)
                rows_with_unnamed += _count_filled([batch.column(index) for index in unnamed])
                yield batch.select(named)
    except pa.ArrowInvalid as error:
        if "columns, got" in str(error) and (explained := _ragged_rows(plain, file, dialect, names)):
            raise explained from error
        raise
    if rows_with_unnamed:
        note(f"{rows_with_unnamed} rows of {file.name} have content in columns without a name; these are left out.")


def _check_names(names: list[str], file: Path) -> None:
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is None:
        return
    remedy = "rename one"
    if looks_like_data(names):
        remedy = "if the file has no header, set read_options='{column_names: […]}'"
    raise UserError(f"{file} has the column '{shorten(twice, 60)}' twice: {remedy}")


def _count_filled(columns: list[pa.Array]) -> int:
    if not columns:
        return 0
    filled = pc.not_equal(columns[0], "")
    for column in columns[1:]:
        filled = pc.or_(filled, pc.not_equal(column, ""))
    return pc.sum(filled).as_py() or 0


def _iterate_rows(plain: Path, dialect: _Dialect, errors: str) -> Iterator[tuple[int, list[str]]]:
    """Yields rows with the number of their first line; slow, so only for the header and for error messages."""
    csv.field_size_limit(_BLOCK_BYTES)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if dialect.quoting == "none" else csv.QUOTE_MINIMAL
    with plain.open(encoding="utf-8-sig", errors=errors, newline="") as stream:
        for _ in range(dialect.skip_rows):
            stream.readline()
        reader = csv.reader(stream, delimiter=dialect.delimiter, quoting=quoting)
        begin = 1 + dialect.skip_rows
        for cells in reader:
            if cells:
                yield begin, cells
            begin = 1 + dialect.skip_rows + reader.line_num


def _ragged_rows(plain: Path, file: Path, dialect: _Dialect, names: list[str]) -> UserError | None:
    wrong = 0
    line, cells = 0, [""]
    for begin, row in _iterate_rows(plain, dialect, "replace"):
        if len(row) != len(names):
            wrong += 1
            if wrong == 1:
                line, cells = begin, row
    if not wrong:
        return None
    others = f"; {wrong} such rows in total" if wrong > 1 else ""
    text = dialect.delimiter.join(cells)
    remedy = "complete or remove these rows"
    if dialect.quoting == "none" and f"\\{dialect.delimiter}" in text:
        remedy = "set read_options='{quoting: backslash}' if backslashes escape delimiters"
    elif len(names) == 1:
        remedy = "remove the lines above the header, or set read_options.delimiter"
    elif len(cells) > len(names):
        name = _DELIMITER_NAMES.get(dialect.delimiter, dialect.delimiter)
        remedy = f"put texts with {name} in quotes, or remove the extra cells"
    header = shorten(", ".join(names), 50)
    return UserError(
        f"line {line} of {file} has {len(cells)} cells, but the header has {len(names)} ({header}){others}: "
        f"{shorten(text, 60)} - {remedy}"
    )


def _merged_rows(row: str, data: mmap.mmap, file: Path) -> UserError:
    line = _line_of(data, row)
    return UserError(
        f"line {line} of {file}: a quoted cell contains whole rows: {shorten(row, 50)} - remove the stray quote, or "
        "set read_options='{quoting: double}' if the cell is correct"
    )


def _line_of(data: mmap.mmap, text: str) -> int | str:
    """Returns the number of the first line that starts with this text; "?" if it is not found."""
    encoded, position = text.encode(), -1
    while (position := data.find(encoded, position + 1)) >= 0:
        if position in (0, 3) or data[position - 1 : position] in (b"\n", b"\r"):
            return count_lines(data, position) + 1
    # The file spells it differently, for example with doubled quotes.
    return "?"
