"""Files of every format and folders of every layout are read without changing a text."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.tables.readers import read_files

ROWS = [
    {"text": 'He said "no", twice', "label": "bad"},
    {"text": "two\nlines", "label": "good"},
    {"text": "null", "label": "bad"},
    {"text": "NA", "label": "good"},
    {"text": "007", "label": "good"},
    {"text": " blanks kept  ", "label": "bad"},
]
# Texts that UTF-8 can hold, which excludes lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"))


def _write(file: Path, rows: list[dict[str, str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif file.suffix in (".csv", ".tsv"):
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), delimiter="," if file.suffix == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    elif file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    else:
        file.write_text(json.dumps(rows), encoding="utf-8")


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_every_format_keeps_the_texts(ending: str, tmp_path: Path) -> None:
    _write(tmp_path / f"reviews.{ending}", ROWS)
    assert read_files(tmp_path / f"reviews.{ending}", tmp_path / "work")["train"].to_pylist() == ROWS


@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_rows_stay_on_disk_and_no_file_is_left(ending: str, tmp_path: Path) -> None:
    rows = [{"text": f"{index} " + "long " * 40, "label": "x"} for index in range(25_000)]
    _write(tmp_path / f"train.{ending}", rows)
    before = pa.total_allocated_bytes()
    table = read_files(tmp_path, tmp_path / "work")["train"]
    assert table.to_pylist() == rows
    assert pa.total_allocated_bytes() - before < table.nbytes / 10
    assert list((tmp_path / "work").iterdir()) == []


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    _write(tmp_path / "train.csv", ROWS)
    (tmp_path / "work").mkdir()
    (tmp_path / "work/rows.arrows").symlink_to("/dev/full")
    with pytest.raises(
        UserError, match=r"work has no space for the rows of .*train\.csv: set work to a folder on a larger disk"
    ):
        read_files(tmp_path, tmp_path / "work")


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
    tables = read_files(tmp_path, tmp_path / "work")
    assert list(tables) == splits
    shards = sum(name.startswith("train") for name in files)
    assert tables["train"].num_rows == shards * len(ROWS)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=8))
def test_any_text_survives_csv_and_json(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows = [{"text": text, "label": "1"} for text in texts]
    for name in ("a.csv", "a.json", "a.jsonl"):
        _write(folder / name, rows)
        assert read_files(folder / name, folder / "work")["train"].column("text").to_pylist() == texts


# There are more rows than one conversion takes, and the last ones have another type than the first.
@pytest.mark.parametrize("ending", ["json", "jsonl"])
@pytest.mark.parametrize(
    ("first", "last", "kind", "kept"),
    [
        (1, 2.5, pa.float64(), [1.0, 2.5]),
        (2.5, 1, pa.float64(), [2.5, 1.0]),
        (None, "late", pa.string(), [None, "late"]),
        (1, "x", pa.string(), ["1", "x"]),
        ("x", {"y": [1]}, pa.string(), ["x", '{"y": [1]}']),
        (True, 1, pa.string(), ["true", "1"]),
        (2**60, 0.5, pa.string(), [str(2**60), "0.5"]),
        (1, 2**70, pa.string(), ["1", str(2**70)]),
        ([], [1], pa.list_(pa.int64()), [[], [1]]),
    ],
)
def test_a_json_column_has_the_type_that_holds_all_rows(
    ending: str, first: object, last: object, kind: pa.DataType, kept: list[object], tmp_path: Path
) -> None:
    rows = [{"text": "a", "other": first}] * 20_001 + [{"text": "b", "other": last, "late": "c"}]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / f"train.{ending}").write_text(
        "\n".join(lines) if ending == "jsonl" else f"[{','.join(lines)}]", encoding="utf-8"
    )
    table = read_files(tmp_path, tmp_path / "work")["train"]
    assert table.schema.equals(pa.schema({"text": pa.string(), "other": kind, "late": pa.string()}))
    assert [table.column("other")[row].as_py() for row in (0, 20_000, 20_001)] == [kept[0], *kept]
    assert table.column("late").null_count == 20_001


def test_a_json_list_that_may_exceed_memory_is_refused_at_once(tmp_path: Path) -> None:
    with (tmp_path / "train.json").open("wb") as stream:
        stream.write(b"[")
        stream.truncate((1 << 29) + 1)
    with pytest.raises(UserError, match=r"train\.json is one JSON list of more than 512 MB.*write it as JSON lines"):
        read_files(tmp_path, tmp_path / "work")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("train.xlsx", b"PK", "unsupported extension '.xlsx': use one of .csv, .tsv, .json, .jsonl, .parquet"),
        ("train.csv", b"", "is empty"),
        ("train.csv", b"text,label\n", "has no rows"),
        ("train.csv", b"text,label\ncaf\xe9,1\n", "is not UTF-8"),
        ("train.jsonl", b'{"text": "caf\xe9"}\n', "is not UTF-8"),
        ("train.csv", b"text,label\na,b,c\n", "line 2 of .* has 3 cells, but the header has 2"),
        ("train.csv", b"text,text\na,b\n", "the column 'text' twice"),
        ("train.json", b"[1, 2]", "an object with the columns as keys"),
        ("train.json", b"{", "is not JSON"),
        ("train.parquet", b"text", "cannot be read as parquet"),
        ("training_notes.txt", b"text", "no training split"),
    ],
)
def test_an_unreadable_file_is_named_in_one_line(name: str, content: bytes, expected: str, tmp_path: Path) -> None:
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
