"""Rows of CSV and the like: which dialect a file is written in, and a stream of record batches that loses no row."""

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
from compaware.components.data_prep.tables.decoding import Note
from compaware.components.data_prep.tables.merged import find_merged_row
from compaware.components.data_prep.tables.quotes import (
    Quotes,
    count_lines,
    is_well_formed,
    read_quotes,
    rewrite_backslashes,
)
from compaware.components.data_prep.wording import looks_like_data, shorten

# One row must fit in a block.
_BLOCK_BYTES = 1 << 26
_SAMPLE_BYTES = 1 << 16
_DELIMITERS = (",", "\t", ";", "|")
# Share of a sample's rows that must have as many cells as the header for a delimiter to be taken.
_AGREEING = 0.8
_SHOWN = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "vertical bars"}
# What is worth saying of the quoting that was guessed, in files with tabs and others.
_MEANINGS = {
    ("backslash", True): "Backslashes escape quotes",
    ("backslash", False): "Backslashes escape quotes",
    ("double", True): "Quotes enclose cells",
    ("none", True): "Quotes are a part of the texts",
}
# Excel's first line that names the delimiter.
_SEPARATOR_LINE = re.compile(r"sep=([!#-&(-/:;<=>?@^_|~\t ])\r?\n")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Dialect:
    delimiter: str
    quoting: str
    skip_rows: int


def read_delimited(
    plain: Path, file: Path, scratch: Path, options: ReadOptions, note: Note, usual: str
) -> Iterator[pa.RecordBatch]:
    """Reads all columns as text: a sentence "null", "NA" or "007" is that sentence.

    Args:
        plain: The file, not compressed and in UTF-8.
        file: The file as the user knows it.
        scratch: Folder for a copy in another dialect.
        options: What the user said of the dialect.
        note: Called with what was guessed.
        usual: The delimiter that the file's ending promises.

    Raises:
        UserError: A row has more or fewer cells than the header, a quote is not closed, or a column is there twice.
    """
    if plain.stat().st_size == 0:
        return
    copy = scratch / "doubled-quotes"
    try:
        with plain.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            dialect = _find_dialect(data, file, options, note, usual)
            read = plain
            if dialect.quoting == "backslash":
                quotes = read_quotes(data, dialect.delimiter, "backslash")
                with copy.open("wb") as target:
                    outside = quotes.inside_escaped > 0 or (not quotes.enclosed and _is_uneven(data, dialect.delimiter))
                    rewrite_backslashes(data, dialect.delimiter, target, outside=outside)
                read = copy
            yield from _parse(read, data, file, dialect, options, note)
    finally:
        copy.unlink(missing_ok=True)


def _find_dialect(data: mmap.mmap, file: Path, options: ReadOptions, note: Note, usual: str) -> _Dialect:
    sample = data[:_SAMPLE_BYTES].decode("utf-8-sig", "replace")
    separator = _SEPARATOR_LINE.match(sample)
    delimiter = options.delimiter or (
        separator[1] if separator else _guess_delimiter(sample, usual, whole=len(data) <= _SAMPLE_BYTES)
    )
    if delimiter != usual and not options.delimiter:
        note(
            f"The columns of {file.name} are separated by {_SHOWN.get(delimiter, delimiter)} (read_options.delimiter)."
        )
    quoting: str | None = options.quoting
    if data.find(b'"') < 0 and quoting != "backslash":
        # Without quotes, rows end where lines do, and are found faster.
        quoting = "none"
    elif quoting is None:
        quoting = guessed = _guess_quoting(data, delimiter, file)
        if meaning := _MEANINGS.get((guessed, delimiter == "\t")):
            note(f"{meaning} in {file.name} (read_options.quoting).")
    elif quoting == "backslash" or (quoting == "double" and not is_well_formed(data, delimiter)):
        place = read_quotes(data, delimiter, quoting).broken
        if place is not None:
            raise _stray_quote(data, place, file)
    return _Dialect(delimiter, quoting, 1 if separator else 0)


def _guess_delimiter(sample: str, usual: str, *, whole: bool) -> str:
    """The first delimiter, the usual one before others, by which the first rows have equally many cells."""
    candidates = [usual, *(sign for sign in _DELIMITERS if sign != usual)]
    agreeing: dict[str, float] = {}
    for sign in candidates:
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            try:
                rows = [
                    row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=sign, quoting=quoting) if row
                ]
            except csv.Error:
                continue
            rows = rows if whole or len(rows) < 2 else rows[:-1]
            if rows and len(rows[0]) > 1:
                same = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
                agreeing[sign] = max(same, agreeing.get(sign, 0.0))
    best = max(agreeing.values(), default=0.0)
    if best < _AGREEING:
        return usual
    return next(sign for sign in candidates if agreeing.get(sign) == best)


def _guess_quoting(data: mmap.mmap, delimiter: str, file: Path) -> str:
    """Finds what the quotes mean: `double`, `backslash` or `none`.

    In tab-separated files, GLUE's among them, quotes are text unless all of them are what a program would write, or
    the header's cells are enclosed.

    Raises:
        UserError: A quote in a file with another delimiter does not fit.
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
        return "double" if double.broken is None and _by_program(double, data) else "none"
    if double.broken is not None:
        raise _stray_quote(data, double.broken, file)
    return "double"


def _is_uneven(data: mmap.mmap, delimiter: str) -> bool:
    """Whether lines differ in their number of delimiters, so that some of these must be escaped."""
    data.seek(0)
    sign = delimiter.encode()
    return len({line.count(sign) for line in iter(data.readline, b"") if line.strip(b"\r\n")}) > 1


def _by_program(quotes: Quotes, data: mmap.mmap) -> bool:
    """Whether cells are enclosed where they need it and nowhere else, or at least one in each row of data."""
    rows = count_lines(data, len(data)) - quotes.lines_inside - 1
    return (
        quotes.enclosed > 0
        and not quotes.inside
        and (quotes.with_reason == quotes.enclosed or quotes.enclosed >= max(rows, 2))
    )


def _encloses_header(data: mmap.mmap, delimiter: str) -> bool:
    data.seek(0)
    names = data.readline().decode("utf-8-sig", "replace").strip("\r\n").split(delimiter)
    return all(len(name) > 2 and name[0] == name[-1] == '"' for name in names)


def _stray_quote(data: mmap.mmap, place: int, file: Path) -> UserError:
    line = count_lines(data, place) + 1
    shown = shorten(data[place : place + 200].decode("utf-8", "replace").splitlines()[0], 50)
    return UserError(
        f"line {line} of {file}: the quote before a cell is not closed at its end: {shown} - close it and double "
        "quotes inside, or set read_options='{quoting: none}' if all quotes are text"
    )


def _parse(
    plain: Path, data: mmap.mmap, file: Path, dialect: _Dialect, options: ReadOptions, note: Note
) -> Iterator[pa.RecordBatch]:
    quotes = dialect.quoting != "none"
    # Rows of another width end the reading; a handler for them, called in threads of Arrow's, can abort the process.
    parsing = pyarrow.csv.ParseOptions(
        delimiter=dialect.delimiter, quote_char='"' if quotes else False, newlines_in_values=quotes
    )
    given = options.column_names
    reading = pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES, skip_rows=dialect.skip_rows, column_names=given)
    first = next((cells for _, cells in _rows(plain, dialect, "strict")), [])
    if given == first:
        raise UserError(f"the first row of {file} has the names of read_options.column_names: leave these out")
    names = given or first
    _check_names(names, file)
    types = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, quoted_strings_can_be_null=False
    )
    named = [index for index, name in enumerate(names) if name]
    nameless = [index for index, name in enumerate(names) if not name]
    unused = 0
    try:
        with pyarrow.csv.open_csv(plain, read_options=reading, parse_options=parsing, convert_options=types) as stream:
            for batch in stream:
                if quotes and options.quoting is None and (found := find_merged_row(batch, dialect.delimiter)):
                    raise _merged(found, data, file)
                unused += _rows_with_content([batch.column(index) for index in nameless])
                yield batch.select(named)
    except pa.ArrowInvalid as error:
        if "columns, got" in str(error) and (ragged := _ragged(plain, file, dialect, names)):
            raise ragged from error
        raise
    if unused:
        note(f"{unused} rows of {file.name} have content in columns without a name, which are left out.")


def _check_names(names: list[str], file: Path) -> None:
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is None:
        return
    remedy = "rename one"
    if looks_like_data(names):
        remedy = "the file seems to have no header: name its columns by read_options='{column_names: […]}'"
    raise UserError(f"{file} has the column '{shorten(twice, 60)}' twice: {remedy}")


def _rows_with_content(columns: list[pa.Array]) -> int:
    if not columns:
        return 0
    filled = pc.not_equal(columns[0], "")
    for column in columns[1:]:
        filled = pc.or_(filled, pc.not_equal(column, ""))
    return pc.sum(filled).as_py() or 0


def _rows(plain: Path, dialect: _Dialect, errors: str) -> Iterator[tuple[int, list[str]]]:
    """The rows as Python reads them, with the line at which each begins: slower by far, for one row or in an error."""
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


def _ragged(plain: Path, file: Path, dialect: _Dialect, names: list[str]) -> UserError | None:
    wrong = 0
    line, cells = 0, [""]
    for begin, row in _rows(plain, dialect, "replace"):
        if len(row) != len(names):
            wrong += 1
            if wrong == 1:
                line, cells = begin, row
    if not wrong:
        return None
    others = f"; so it is with {wrong} rows in all" if wrong > 1 else ""
    text = dialect.delimiter.join(cells)
    remedy = "complete or remove such rows"
    if dialect.quoting == "none" and f"\\{dialect.delimiter}" in text:
        remedy = "set read_options='{quoting: backslash}' if backslashes escape"
    elif len(names) == 1:
        remedy = "remove lines above the header, or set read_options.delimiter if it is another one"
    elif len(cells) > len(names):
        remedy = (
            f"put texts with {_SHOWN.get(dialect.delimiter, dialect.delimiter)} in quotes, or remove what is too much"
        )
    header = shorten(", ".join(names), 50)
    return UserError(
        f"line {line} of {file} has {len(cells)} cells, and the header {len(names)} ({header}){others}: "
        f"{shorten(text, 60)} - {remedy}"
    )


def _merged(row: str, data: mmap.mmap, file: Path) -> UserError:
    line = _line_of(data, row)
    return UserError(
        f"line {line} of {file}: the text from this quote to the next holds whole rows: {shorten(row, 50)} "
        "- remove the quote, or set read_options='{quoting: double}' if it is right"
    )


def _line_of(data: mmap.mmap, text: str) -> int | str:
    """The number of the first line at which this text of a row begins."""
    wanted, place = text.encode(), -1
    while (place := data.find(wanted, place + 1)) >= 0:
        if place in (0, 3) or data[place - 1 : place] in (b"\n", b"\r"):
            return count_lines(data, place) + 1
    # Written otherwise than it reads: with doubled quotes, say.
    return "?"
