"""Guesses the dialect of a CSV or similar file: its delimiter, and how quotes are used."""

import csv
import io
import mmap
import re
from dataclasses import dataclass
from pathlib import Path

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.config import ReadOptions
from compaware.components.data_prep.messages import shorten
from compaware.components.data_prep.tables.decoding import Note
from compaware.components.data_prep.tables.quotes import Quotes, count_lines, is_well_formed, read_quotes

DELIMITER_NAMES = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "vertical bars"}
_SAMPLE_BYTES = 1 << 16
_DELIMITERS = (",", "\t", ";", "|")
# A delimiter is accepted if at least this share of the sampled rows has as many cells as the header.
_MIN_AGREEMENT = 0.8
# Notes about guessed quoting, for files with tabs (True) and with other delimiters.
_QUOTING_NOTES = {
    ("backslash", True): "Backslashes escape quotes",
    ("backslash", False): "Backslashes escape quotes",
    ("double", True): "Quotes enclose cells",
    ("none", True): "Quotes are part of the texts",
}
# A first line in which Excel names the delimiter.
_SEPARATOR_LINE = re.compile(r"sep=([!#-&(-/:;<=>?@^_|~\t ])\r?\n")


@dataclass(frozen=True)
class Dialect:
    """How the cells of a file are separated and quoted.

    Attributes:
        delimiter: One character.
        quoting: `double`, `backslash` or `none`.
        skip_rows: Lines before the header.
    """

    delimiter: str
    quoting: str
    skip_rows: int


def guess_dialect(data: mmap.mmap, file: Path, options: ReadOptions, note: Note, default_delimiter: str) -> Dialect:
    """Returns the dialect of a file; what the user set is not guessed.

    Args:
        data: The file's content, in UTF-8.
        file: The user's file, for messages.
        options: What the user set of the dialect.
        note: Called with a sentence about each guess.
        default_delimiter: The usual delimiter of files with this extension.

    Raises:
        UserError: A quote is not closed.
    """
    sample = data[:_SAMPLE_BYTES].decode("utf-8-sig", "replace")
    separator = _SEPARATOR_LINE.match(sample)
    delimiter = options.delimiter or (
        separator[1] if separator else _guess_delimiter(sample, default_delimiter, whole=len(data) <= _SAMPLE_BYTES)
    )
    if delimiter != default_delimiter and not options.delimiter:
        name = DELIMITER_NAMES.get(delimiter, delimiter)
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
    return Dialect(delimiter, quoting, 1 if separator else 0)


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
