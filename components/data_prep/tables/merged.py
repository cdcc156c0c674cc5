"""Cells that hold whole rows, since a quote that is text opened them and another one closed them."""

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

# A column is taken to have few values, as labels do, if it has at most so many in a batch, and each twice on average.
_FEW_VALUES = 200
_MIN_INNER_ROWS = 3
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
_Kind = Callable[[str], bool] | None


def find_merged_row(batch: pa.RecordBatch, delimiter: str) -> str | None:
    """Finds a cell of several lines that would, without its quotes, be as many rows like the others.

    A cell that spans rows has in each of its lines as many delimiters as a row has, and where these rows' other cells
    would be, values of those columns.

    Returns:
        The beginning of the first such row as written; None if there is none.
    """
    width = batch.num_columns
    if width < 2:
        return None
    known: dict[int, _Kind] = {}
    for place, column in enumerate(batch.columns):
        rows = pc.indices_nonzero(pc.match_substring(column, "\n"))
        several = column.take(rows)
        lines, signs = pc.count_substring(several, "\n"), pc.count_substring(several, delimiter)
        whole = pc.equal(signs, pc.multiply(lines, width - 1))
        # The closing quote may have a line to itself.
        before_last = pc.add(pc.multiply(pc.subtract(lines, 1), width - 1), width - 1 - place)
        alone = pc.and_(pc.ends_with(several, "\n"), pc.equal(signs, before_last))
        suspect = rows.filter(pc.or_(whole, alone))
        for row in suspect.to_pylist():
            cell = column[row].as_py()
            if _is_rows(cell, place, batch, delimiter, known):
                before = [batch.column(index)[row].as_py() for index in range(place)]
                return delimiter.join([*before, f'"{cell.splitlines()[0]}'])
    return None


def _is_rows(cell: str, place: int, batch: pa.RecordBatch, delimiter: str, known: dict[int, _Kind]) -> bool:
    width = batch.num_columns
    first, *inner, last = (line.rstrip("\r").split(delimiter) for line in cell.split("\n"))
    if len(first) != width - place or any(len(line) != width for line in inner):
        return False
    if len(last) != place + 1 and last != [""]:
        return False
    cells = [(place + index, value) for index, value in enumerate(first) if index]
    cells += [(index, value) for line in inner for index, value in enumerate(line) if index != place]
    cells += list(enumerate(last))[:-1]
    for index, _ in cells:
        if index not in known:
            known[index] = _kind(batch.column(index))
    judged = [kind(value) for index, value in cells if (kind := known[index]) is not None]
    return all(judged) if judged else len(inner) >= _MIN_INNER_ROWS


def _kind(column: pa.Array) -> _Kind:
    """Whether a cell could be one of a column's, if that has few values or numbers; None for a column of texts."""
    values = pc.unique(column)
    if len(values) <= min(_FEW_VALUES, len(column) // 2):
        return set(values.to_pylist()).__contains__
    if all(_NUMBER.fullmatch(value) for value in values[:_FEW_VALUES].to_pylist()):
        return lambda value: _NUMBER.fullmatch(value) is not None
    return None
