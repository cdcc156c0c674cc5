"""JSON is read in every layout that programs write; errors name the line or row."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.tables.readers import read_files
from tests.components.data_prep.conftest import Prepare

ROWS = [{"text": f"film {number}", "label": number % 2} for number in range(12)]


def _read(file: Path) -> tuple[list[dict[str, Any]], list[str]]:
    notes: list[str] = []
    return read_files(file, file.parent / "work", note=notes.append)["train"].to_pylist(), notes


def _write(file: Path, content: str) -> Path:
    file.write_text(content, encoding="utf-8")
    return file


@pytest.mark.parametrize("orient", ["records", "columns", "split", "index", "table", "list", "lines"])
def test_every_orientation_of_pandas_is_read(orient: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    if orient == "lines":
        content = frame.to_json(orient="records", lines=True)
    elif orient == "list":
        content = json.dumps(frame.to_dict(orient="list"))
    else:
        content = frame.to_json(orient=orient)  # type: ignore[call-overload]
    rows, notes = _read(_write(tmp_path / "a.json", content))
    assert [{name: row[name] for name in ("text", "label")} for row in rows] == ROWS
    assert len(notes) == (orient not in ("records", "lines"))


@pytest.mark.parametrize("orient", ["records", "split", "index", "columns"])
def test_every_layout_of_datasets_is_read(orient: str, tmp_path: Path) -> None:
    data = Dataset.from_list(ROWS)
    data.to_json(tmp_path / "a.json", orient=orient, lines=orient == "records")
    assert _read(tmp_path / "a.json")[0] == ROWS


@pytest.mark.parametrize("key", ["data", "train", "rows"])
@pytest.mark.parametrize("indent", [None, 2])
def test_rows_under_a_key_are_read_and_noted(key: str, indent: int | None, tmp_path: Path) -> None:
    file = _write(tmp_path / "a.json", json.dumps({"version": "1", key: ROWS}, indent=indent))
    assert _read(file) == (ROWS, [f"The rows of a.json are under its key '{key}'."])


@pytest.mark.parametrize("between", ["", "\n", " ", "\n\n"])
@pytest.mark.parametrize("indent", [None, 4])
def test_objects_that_follow_each_other_are_rows(between: str, indent: int | None, tmp_path: Path) -> None:
    assert _read(_write(tmp_path / "a.json", between.join(json.dumps(row, indent=indent) for row in ROWS)))[0] == ROWS


def test_a_single_line_of_jsonl_is_a_row(tmp_path: Path) -> None:
    row = {"text": "a", "entities": [{"from": 0}]}
    assert _read(_write(tmp_path / "a.jsonl", json.dumps(row) + "\n"))[0] == [row]


LINES = [json.dumps(row) for row in ROWS]


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        ("a.jsonl", [*LINES[:7], "", '{"text": "a",}', *LINES], r"^line 9 of .*a\.jsonl is not JSON: .* \(column 14\)"),
        ("a.jsonl", ['{"text": "a",}', *LINES], r"a\.jsonl is not JSON: .*line 1, column 14"),
        ("a.jsonl", [*LINES, '{"text": "cut sh'], r"^line 13 of .* is not JSON: Unterminated string"),
        ("a.jsonl", [*LINES[:4], "[1, 2]"], r"^line 5 of .* must be an object with the columns as keys, not \[1, 2\]"),
        ("a.json", ["[1,", "2]"], r"^row 1 of .* must be an object"),
        ("a.jsonl", [*LINES, '{"text": "a", "text": "b"}'], r"^line 13 of .* has the key 'text' twice"),
        ("a.json", [json.dumps({"train": ROWS, "test": ROWS})], r"several lists of rows \(train, test\): write each"),
        ("a.json", ['{"text": {"0": "a"}, "label": {"1": 0}}'], r"objects with different keys"),
        ("a.json", ['{"text": ["a", "b"], "label": [1]}'], r"columns of different lengths"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(name: str, lines: list[str], expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=expected) as caught:
        _read(_write(tmp_path / name, "\n".join(lines)))
    assert len(str(caught.value)) - len(str(tmp_path)) < 250 and "\n" not in str(caught.value)


def test_half_an_emoji_is_replaced_and_noted(tmp_path: Path) -> None:
    lines = [*LINES, r'{"text": "half \ud83d and whole \ud83d\ude00 and \\ud83d", "label": 1}']
    rows, notes = _read(_write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert rows[-1]["text"] == "half \ufffd and whole 😀 and \\ud83d"
    assert notes == [
        "Lone surrogates (halves of emoji) in a.jsonl were replaced by U+FFFD: 1 texts, the first in line 13."
    ]


@pytest.mark.parametrize("missing", ["NaN", "null", None])
@pytest.mark.parametrize(("column", "what"), [("text", "no text in 'text'"), ("label", "no label")])
def test_a_missing_value_is_named_by_its_row(
    prepare: Prepare, tmp_path: Path, column: str, what: str, missing: str | None
) -> None:
    row = {"text": '"a"', "label": "1", column: missing}
    wrong = "{" + ", ".join(f'"{name}": {value}' for name, value in row.items() if value) + "}"
    file = _write(tmp_path / "a.jsonl", "\n".join([*LINES[:7], wrong, *LINES[7:]]))
    with pytest.raises(UserError, match=f"^row 8 of the train split .*{what}"):
        prepare(data=str(file))


def test_numbers_in_a_column_of_texts_are_texts_of_full_precision(tmp_path: Path) -> None:
    lines = ['{"text": "a"}', '{"text": 9007199254740993}', '{"text": 1.50}', '{"text": true}', '{"text": ""}']
    assert [row["text"] for row in _read(_write(tmp_path / "a.jsonl", "\n".join(lines)))[0]] == [
        *("a", "9007199254740993", "1.5", "true", ""),
    ]


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(), min_size=1, max_size=6), ascii=st.booleans())
def test_any_text_that_json_holds_is_read_as_python_reads_it(
    texts: list[str], ascii: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("any") / "a.jsonl"
    file.write_bytes(
        "".join(json.dumps({"text": text}, ensure_ascii=ascii) + "\n" for text in texts).encode("utf-8", "replace")
    )
    expected = [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [row["text"] for row in _read(file)[0]] == expected
