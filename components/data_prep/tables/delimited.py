"""Reads CSV and similar files as record batches, without losing a row."""

import csv
import logging
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.config import ReadOptions
from compaware.components.data_prep.messages import shorten
from compaware.components.data_prep.tables.decoding import Note
from compaware.components.data_prep.tables.dialects import DELIMITER_NAMES, Dialect, guess_dialect
from compaware.components.data_prep.tables.headers import looks_like_data
from compaware.components.data_prep.tables.merged import find_merged_row
from compaware.components.data_prep.tables.quotes import count_lines, read_quotes, rewrite_backslashes

# A row must fit in a block.
_BLOCK_BYTES = 1 << 26
log = logging.getLogger(__name__)


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
            dialect = guess_dialect(data, file, options, note, default_delimiter)
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


def _is_uneven(data: mmap.mmap, delimiter: str) -> bool:
    """Whether the number of delimiters differs between lines, so that some delimiters must be escaped."""
    data.seek(0)
    separator = delimiter.encode()
    return len({line.count(separator) for line in iter(data.readline, b"") if line.strip(b"\r\n")}) > 1


def _parse(
    plain: Path, data: mmap.mmap, file: Path, dialect: Dialect, options: ReadOptions, note: Note
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


def _iterate_rows(plain: Path, dialect: Dialect, errors: str) -> Iterator[tuple[int, list[str]]]:
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


def _ragged_rows(plain: Path, file: Path, dialect: Dialect, names: list[str]) -> UserError | None:
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
        name = DELIMITER_NAMES.get(dialect.delimiter, dialect.delimiter)
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
