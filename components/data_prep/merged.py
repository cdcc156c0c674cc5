"""Cells that hold whole rows, since a quote that is text opened them and another one closed them."""

import pyarrow as pa
import pyarrow.compute as pc

# A column is taken to have few values, as labels do, if it has at most so many in a batch, and each twice on average.
_FEW_VALUES = 200
_MIN_INNER_ROWS = 3


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
    known: dict[int, set[str] | None] = {}
    for place, column in enumerate(batch.columns):
        rows = pc.indices_nonzero(pc.match_substring(column, "\n"))
        several = column.take(rows)
        expected = pc.multiply(pc.count_substring(several, "\n"), width - 1)
        suspect = rows.filter(pc.equal(pc.count_substring(several, delimiter), expected))
        for row in suspect.to_pylist():
            cell = column[row].as_py()
            if _is_rows(cell, place, batch, delimiter, known):
                before = [batch.column(index)[row].as_py() for index in range(place)]
                return delimiter.join([*before, f'"{cell.splitlines()[0]}'])
    return None


def _is_rows(cell: str, place: int, batch: pa.RecordBatch, delimiter: str, known: dict[int, set[str] | None]) -> bool:
    width = batch.num_columns
    first, *inner, last = (line.rstrip("\r").split(delimiter) for line in cell.split("\n"))
    if len(first) != width - place or len(last) != place + 1 or any(len(line) != width for line in inner):
        return False
    cells = [(place + index, value) for index, value in enumerate(first) if index]
    cells += [(index, value) for line in inner for index, value in enumerate(line) if index != place]
    cells += list(enumerate(last))[:-1]
    judged = [(index, value) for index, value in cells if _values(batch, index, known) is not None]
    if not judged:
        return len(inner) >= _MIN_INNER_ROWS
    return all(value in (known[index] or ()) for index, value in judged)


def _values(batch: pa.RecordBatch, index: int, known: dict[int, set[str] | None]) -> set[str] | None:
    """The values of a column of few; None for one of many."""
    if index not in known:
        values = pc.unique(batch.column(index))
        few = len(values) <= min(_FEW_VALUES, batch.num_rows // 2)
        known[index] = set(values.to_pylist()) if few else None
    return known[index]
