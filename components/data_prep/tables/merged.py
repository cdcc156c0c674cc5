"""Finds cells that contain whole rows, because stray quotes open and close them."""

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

# A column has few values, like labels, if a batch has at most this many, each at least twice on average.
_FEW_VALUES = 200
_MIN_INNER_ROWS = 3
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
_Kind = Callable[[str], bool] | None


def find_merged_row(batch: pa.RecordBatch, delimiter: str) -> str | None:
    """Finds a cell of several lines that look like rows of their own.

    Each line of such a cell has as many delimiters as a row, and the values between them fit the other columns.

    Returns:
        The start of the first row with such a cell, as written in the file; None if there is none.
    """
    width = batch.num_columns
    if width < 2:
        return None
    known: dict[int, _Kind] = {}
    for index, column in enumerate(batch.columns):
        rows = pc.indices_nonzero(pc.match_substring(column, "\n"))
        cells = column.take(rows)
        lines, delimiters = pc.count_substring(cells, "\n"), pc.count_substring(cells, delimiter)
        whole = pc.equal(delimiters, pc.multiply(lines, width - 1))
        # The closing quote may be alone on its line.
        before_last = pc.add(pc.multiply(pc.subtract(lines, 1), width - 1), width - 1 - index)
        alone = pc.and_(pc.ends_with(cells, "\n"), pc.equal(delimiters, before_last))
        suspect = rows.filter(pc.or_(whole, alone))
        for row in suspect.to_pylist():
            cell = column[row].as_py()
            if _contains_rows(cell, index, batch, delimiter, known):
                before = [batch.column(other)[row].as_py() for other in range(index)]
                return delimiter.join([*before, f'"{cell.splitlines()[0]}'])
    return None


def _contains_rows(cell: str, position: int, batch: pa.RecordBatch, delimiter: str, known: dict[int, _Kind]) -> bool:
    width = batch.num_columns
    first, *inner, last = (line.rstrip("\r").split(delimiter) for line in cell.split("\n"))
    if len(first) != width - position or any(len(line) != width for line in inner):
        return False
    if len(last) != position + 1 and last != [""]:
        return False
    cells = [(position + index, value) for index, value in enumerate(first) if index]
    cells += [(index, value) for line in inner for index, value in enumerate(line) if index != position]
    cells += list(enumerate(last))[:-1]
    for index, _ in cells:
        if index not in known:
            known[index] = _kind(batch.column(index))
    fits = [kind(value) for index, value in cells if (kind := known[index]) is not None]
    return all(fits) if fits else len(inner) >= _MIN_INNER_ROWS


def _kind(column: pa.Array) -> _Kind:
    """Returns a test whether a value fits a column of few values or of numbers; None for a column of texts."""
    values = pc.unique(column)
    if len(values) <= min(_FEW_VALUES, len(column) // 2):
        return set(values.to_pylist()).__contains__
    if all(_NUMBER.fullmatch(value) for value in values[:_FEW_VALUES].to_pylist()):
        return lambda value: _NUMBER.fullmatch(value) is not None
    return None
