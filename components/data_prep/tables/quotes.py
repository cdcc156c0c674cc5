"""Analyzes the quotes of a delimited file, before its rows are parsed."""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

_QUOTE = ord('"')
_WINDOW_BYTES = 1 << 24
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Programs enclose cells with these characters in quotes, some of them with every delimiter.
_NEEDS_QUOTES = re.compile(rb'[",;|\t\r\n]')
_CONTENT = {
    "double": re.compile(rb'[^"]*(?:""[^"]*)*'),
    "backslash": re.compile(rb'[^"\\]*(?:(?:\\.|"")[^"\\]*)*', re.DOTALL),
}


@dataclass
class Quotes:
    """Counts from reading a file's quotes in one dialect.

    Attributes:
        enclosed: Cells that are enclosed in quotes.
        needed: Enclosed cells that need their quotes.
        escaped: Quotes after a backslash in enclosed cells.
        inside: Quotes in cells that are not enclosed.
        inside_escaped: Those of them after a backslash.
        lines_inside: Line feeds in enclosed cells.
        broken: Position of the first opening quote that is not closed at the end of a cell; None if all are closed.
    """

    enclosed: int = 0
    needed: int = 0
    escaped: int = 0
    inside: int = 0
    inside_escaped: int = 0
    lines_inside: int = 0
    broken: int | None = None


def is_well_formed(data: mmap.mmap, delimiter: str) -> bool:
    """Whether every quote opens or closes a cell or is doubled, as in RFC 4180; checks a gigabyte in seconds."""
    everything = np.frombuffer(data, np.uint8)
    start = len(_BYTE_ORDER_MARK) if data[:3] == _BYTE_ORDER_MARK else 0
    before_open = np.zeros(256, bool)
    before_open[[_QUOTE, ord(delimiter), ord("\n"), ord("\r")]] = True
    count = 0
    for begin in range(0, len(everything), _WINDOW_BYTES):
        positions = begin + np.flatnonzero(everything[begin : begin + _WINDOW_BYTES] == _QUOTE)
        opening, closing = (positions[(count + first) % 2 :: 2] for first in (0, 1))
        count += len(positions)
        opening, closing = opening[opening > start], closing[closing + 1 < len(everything)]
        if not (before_open[everything[opening - 1]].all() and before_open[everything[closing + 1]].all()):
            return False
    return count % 2 == 0


def read_quotes(data: mmap.mmap, delimiter: str, quoting: str) -> Quotes:
    """Reads the quotes in a dialect, `double` or `backslash`, up to the first that is not closed."""
    quotes = Quotes()
    end = 0
    for begin, stop in _enclosed(data, delimiter, quoting):
        _count_inside(quotes, data, end, begin)
        if stop is None:
            quotes.broken = begin
            return quotes
        content = data[begin + 1 : stop - 1]
        quotes.enclosed += 1
        quotes.needed += _NEEDS_QUOTES.search(content) is not None
        quotes.lines_inside += content.count(b"\n")
        if quoting == "backslash":
            quotes.escaped += content.count(b'\\"')
        end = stop
    _count_inside(quotes, data, end, len(data))
    return quotes


def rewrite_backslashes(data: mmap.mmap, delimiter: str, target: BinaryIO, *, outside: bool) -> None:
    r"""Rewrites a file that escapes with backslashes as one that doubles quotes.

    Args:
        data: The file. A backslash escapes a quote, a backslash, a delimiter or a line end; otherwise it is text.
        delimiter: Separator of the cells.
        target: File to write.
        outside: Whether backslashes also escape in cells that are not enclosed, as Python's csv module writes them;
            Spark does not escape there.
    """
    separator = re.escape(delimiter.encode())
    escape = re.compile(rb'\\(["\\\r\n' + separator + rb'])|""')
    plain = rb"[^\r\n\\" + separator + rb"]*"
    cell = re.compile(plain + rb"(?:\\." + plain + rb")+", re.DOTALL)

    def enclose(content: bytes) -> bytes:
        return b'"' + escape.sub(lambda match: match[1] or b'"', content).replace(b'"', b'""') + b'"'

    def between(content: bytes) -> bytes:
        return cell.sub(lambda match: enclose(match[0]), content) if outside else content

    end = 0
    for begin, stop in _enclosed(data, delimiter, "backslash"):
        if stop is None:
            break
        target.writelines(map(between, _pieces(data, end, begin)))
        target.write(enclose(data[begin + 1 : stop - 1]))
        end = stop
    target.writelines(map(between, _pieces(data, end, len(data))))


def count_lines(data: mmap.mmap, end: int) -> int:
    """Returns the number of lines that end before this position."""
    line_end = b"\n" if data.find(b"\n") >= 0 else b"\r"
    return sum(data[begin : min(end, begin + _WINDOW_BYTES)].count(line_end) for begin in range(0, end, _WINDOW_BYTES))


def _enclosed(data: mmap.mmap, delimiter: str, quoting: str) -> Iterator[tuple[int, int | None]]:
    """Yields the start and end of each enclosed cell; stops at a cell that is not closed, with None as its end."""
    separator = re.escape(delimiter.encode())
    opening, after = re.compile(rb"[\r\n" + separator + rb']"'), b"\r\n" + delimiter.encode()
    start = len(_BYTE_ORDER_MARK) if data[:3] == _BYTE_ORDER_MARK else 0
    begin = start if data[start : start + 1] == b'"' else _next(opening, data, start)
    while begin is not None:
        match = _CONTENT[quoting].match(data, begin + 1)
        stop = match.end() + 1 if match else len(data) + 1
        if stop > len(data) or (stop < len(data) and data[stop] not in after):
            yield begin, None
            return
        yield begin, stop
        begin = _next(opening, data, stop)


def _next(opening: re.Pattern[bytes], data: mmap.mmap, start: int) -> int | None:
    match = opening.search(data, start)
    return match.end() - 1 if match else None


def _count_inside(quotes: Quotes, data: mmap.mmap, begin: int, end: int) -> None:
    for piece in _pieces(data, begin, end):
        quotes.inside += piece.count(b'"')
        quotes.inside_escaped += piece.count(b'\\"')


def _pieces(data: mmap.mmap, begin: int, end: int) -> Iterator[bytes]:
    """Yields the bytes between two positions, in pieces of whole lines that fit in memory."""
    while begin < end:
        stop = data.find(b"\n", begin + _WINDOW_BYTES, end) + 1 or end
        yield data[begin:stop]
        begin = stop
