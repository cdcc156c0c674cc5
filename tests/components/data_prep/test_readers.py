"""Files come in as they are: every format, every layout of a folder, every text."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.errors import UserError
from compaware.components.data_prep.readers import read_files

ROWS = [
    {"text": 'He said "no", twice', "label": "bad"},
    {"text": "two\nlines", "label": "good"},
    {"text": "null", "label": "bad"},
    {"text": "NA", "label": "good"},
    {"text": "007", "label": "good"},
    {"text": " blanks kept  ", "label": "bad"},
]
# What UTF-8 can hold: a lone surrogate is no text.
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"))


def _write(file: Path, rows: list[dict[str, str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif file.suffix == ".csv":
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    else:
        file.write_text(json.dumps(rows), encoding="utf-8")


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_every_format_gives_the_texts_as_they_are(ending: str, tmp_path: Path) -> None:
    _write(tmp_path / f"reviews.{ending}", ROWS)
    assert read_files(tmp_path / f"reviews.{ending}", tmp_path / "work")["train"].to_pylist() == ROWS


def test_quotes_in_tsv_are_text_as_in_glue(tmp_path: Path) -> None:
    file = tmp_path / "train.tsv"
    file.write_text('sentence\tlabel\n"an open quote\t1\na " in the middle\t0\n', encoding="utf-8")
    assert read_files(file, tmp_path / "work")["train"].column("sentence").to_pylist() == [
        '"an open quote',
        'a " in the middle',
    ]


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    for name, content in (("a.csv", "text,label\nx,1\n"), ("a.jsonl", '{"text": "x", "label": "1"}\n')):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content.encode())
        assert read_files(tmp_path / name, tmp_path / "work")["train"].column_names == ["text", "label"]


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["train.{}", "validation.{}", "test.{}"], ["train", "validation", "test"]),
        (["train.{}", "dev.{}"], ["train", "validation"]),
        (["train/a.{}", "train/b.{}", "val/a.{}"], ["train", "validation"]),
        (["train-00000-of-00002.{}", "train-00001-of-00002.{}", "dev-00000-of-00001.{}"], ["train", "validation"]),
        (
            ["train.{}", "validation_matched.{}", "validation_mismatched.{}"],
            ["train", "validation", "validation_mismatched"],
        ),
    ],
)
def test_layouts_of_a_folder(ending: str, files: list[str], splits: list[str], tmp_path: Path) -> None:
    for name in files:
        _write(tmp_path / name.format(ending), ROWS)
    found = read_files(tmp_path, tmp_path / "work")
    assert list(found) == splits
    shards = sum(name.startswith("train") for name in files)
    assert found["train"].num_rows == shards * len(ROWS)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=8))
def test_any_text_survives_csv_and_json(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows = [{"text": text, "label": "1"} for text in texts]
    for name in ("a.csv", "a.json", "a.jsonl"):
        _write(folder / name, rows)
        assert read_files(folder / name, folder / "work")["train"].column("text").to_pylist() == texts


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("train.xlsx", b"PK", "unsupported ending '.xlsx': choose from .csv, .tsv, .json, .jsonl, .parquet"),
        ("train.csv", b"", "is empty"),
        ("train.csv", b"text,label\n", "has no rows"),
        ("train.csv", b"text,label\ncaf\xe9,1\n", "is not UTF-8"),
        ("train.jsonl", b'{"text": "caf\xe9"}\n', "is not UTF-8"),
        ("train.csv", b"text,label\na,b,c\n", "cannot be read as csv"),
        ("train.csv", b"text,text\na,b\n", "the column 'text' twice"),
        ("train.json", b"[1, 2]", "objects with the columns as keys"),
        ("train.json", b"{", "is not JSON"),
        ("train.parquet", b"text", "cannot be read as parquet"),
        ("training_notes.txt", b"text", "no training split"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(name: str, content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=expected) as caught:
        read_files(tmp_path, tmp_path / "work")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_same_split_in_two_formats_is_refused(tmp_path: Path) -> None:
    for name in ("train.csv", "train.json"):
        _write(tmp_path / name, ROWS)
    with pytest.raises(UserError, match=r"keep one of train\.csv and train\.json"):
        read_files(tmp_path, tmp_path / "work")
