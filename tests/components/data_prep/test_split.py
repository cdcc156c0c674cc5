"""A split yields its rows in order, for any selection of rows and any type of texts."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.data.dataset import GROUP_ROWS
from compaware.components.data_prep.split import Split


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6), data=st.data())
def test_two_selections_in_a_row_combine(sizes: list[int], data: st.DataObject) -> None:
    texts = [f"row {index}" for index in range(sum(sizes))]
    ends = np.cumsum(sizes)
    chunks = [texts[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    split = Split.whole(pa.table({"text": pa.chunked_array(chunks, pa.string())}), np.arange(len(texts)))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))), dtype=bool)
    left = [text for text, kept in zip(texts, mask, strict=True) if kept]
    places = sorted(data.draw(st.sets(st.sampled_from(range(len(left)))))) if left else []
    taken = split.take(mask).take(np.array(places, dtype=np.int64))
    rows = [row for table in taken.tables() for row in table.to_pylist()]
    assert [row["text"] for row in rows] == [left[place] for place in places]
    assert all(row["text"] == f"row {row['label']}" for row in rows)
    assert taken.num_rows == len(rows)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.large_string())]
)
def test_any_string_type_is_yielded_as_string_in_parts(kind: pa.DataType) -> None:
    texts = pa.array([f"text {index % 7}" for index in range(2 * GROUP_ROWS + 1)])
    split = Split.whole(pa.table({"text": texts.cast(kind)}), np.zeros(len(texts)))
    tables = list(split.tables())
    assert [table.num_rows for table in tables] == [GROUP_ROWS, GROUP_ROWS, 1]
    assert pa.concat_tables(tables).column("text").combine_chunks().equals(texts)
    assert tables[0].schema.equals(pa.schema({"text": pa.string(), "label": pa.float64()}))
