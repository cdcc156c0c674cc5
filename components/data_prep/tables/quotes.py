"""What the quotes of a delimited file mean, found out before its rows are parsed."""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

_QUOTE = ord('"')
_WINDOW_BYTES = 1 << 24
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A cell with one of these is enclosed in quotes by some program, whatever separates its columns.
_REASONS_TO_ENCLOSE = re.compile(rb'[",;|\t\r\n]')
_CONTENT = {
    "double": re.compile(rb'[^"]*(?:""[^"]*)*'),
    "backslash": re.compile(rb'[^"\\]*(?:(?:\\.|"")[^"\\]*)*', re.DOTALL),
}


@dataclass
class Quotes:
    """What was found by reading a file's quotes in one dialect.

    Attributes:
        enclosed: Cells that are enclosed in quotes.
        with_reason: Those of them that need it.
        escaped: Quotes behind a backslash in enclosed cells.
        inside: Quotes within cells that are not enclosed.
        inside_escaped: Those of them behind a backslash.
        lines_inside: Line feeds in enclosed cells.
        broken: Where the first quote is that opens a cell and is not closed at the end of one; None if all are.
    """

    enclosed: int = 0
    with_reason: int = 0
    escaped: int = 0
    inside: int = 0
    inside_escaped: int = 0
    lines_inside: int = 0
    broken: int | None = None


def is_well_formed(data: mmap.mmap, delimiter: str) -> bool:
    """Whether every quote opens or closes a cell, or is doubled, as RFC 4180 has it; looks at a gigabyte in seconds."""
    everything = np.frombuffer(data, np.uint8)
    start = len(_BYTE_ORDER_MARK) if data[:3] == _BYTE_ORDER_MARK else 0
    before_open = np.zeros(256, bool)
    before_open[[_QUOTE, ord(delimiter), ord("\n"), ord("\r")]] = True
    count = 0
    for begin in range(0, len(everything), _WINDOW_BYTES):
        places = begin + np.flatnonzero(everything[begin : begin + _WINDOW_BYTES] == _QUOTE)
        opening, closing = (places[(count + first) % 2 :: 2] for first in (0, 1))
        count += len(places)
        opening, closing = opening[opening > start], closing[closing + 1 < len(everything)]
        if not (before_open[everything[opening - 1]].all() and before_open[everything[closing + 1]].all()):
            return False
    return count % 2 == 0


def read_quotes(data: mmap.mmap, delimiter: str, quoting: str) -> Quotes:
    """Reads all quotes in a dialect, `double` or `backslash`, up to the first that breaks it."""
    found = Quotes()
    end = 0
    for begin, stop in _enclosed(data, delimiter, quoting):
        _count_inside(found, data, end, begin)
        if stop is None:
            found.broken = begin
            return found
        content = data[begin + 1 : stop - 1]
        found.enclosed += 1
        found.with_reason += _REASONS_TO_ENCLOSE.search(content) is not None
        found.lines_inside += content.count(b"\n")
        if quoting == "backslash":
            found.escaped += content.count(b'\\"')
        end = stop
    _count_inside(found, data, end, len(data))
    return found


def rewrite_backslashes(data: mmap.mmap, delimiter: str, target: BinaryIO, *, outside: bool) -> None:
    r"""Writes a file that escapes by backslashes as one that doubles quotes.

    Args:
        data: The file. A backslash before a quote, a backslash, a delimiter or a line end escapes it; others are text.
        delimiter: Between cells.
        target: Where to write.
        outside: Whether backslashes escape in cells that are not enclosed as well, as Python's csv module writes them;
            Spark leaves those cells as they are.
    """
    sign = re.escape(delimiter.encode())
    escape = re.compile(rb'\\(["\\\r\n' + sign + rb'])|""')
    plain = rb"[^\r\n\\" + sign + rb"]*"
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
    """How many lines end before this place."""
    sign = b"\n" if data.find(b"\n") >= 0 else b"\r"
    return sum(data[begin : min(end, begin + _WINDOW_BYTES)].count(sign) for begin in range(0, end, _WINDOW_BYTES))


def _enclosed(data: mmap.mmap, delimiter: str, quoting: str) -> Iterator[tuple[int, int | None]]:
    """Where each enclosed cell begins and ends; the end is None, and the last one's, where no cell ends there."""
    sign = re.escape(delimiter.encode())
    opening, after = re.compile(rb"[\r\n" + sign + rb']"'), b"\r\n" + delimiter.encode()
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


def _count_inside(found: Quotes, data: mmap.mmap, begin: int, end: int) -> None:
    for piece in _pieces(data, begin, end):
        found.inside += piece.count(b'"')
        found.inside_escaped += piece.count(b'\\"')


def _pieces(data: mmap.mmap, begin: int, end: int) -> Iterator[bytes]:
    """What is between two places, in pieces of whole lines that fit in memory."""
    while begin < end:
        stop = data.find(b"\n", begin + _WINDOW_BYTES, end) + 1 or end
        yield data[begin:stop]
        begin = stop
