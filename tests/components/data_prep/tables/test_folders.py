"""In folders of people, Spark, the hub and datasets, every file belongs to a split or is noted as unused."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.tables.readers import read_files
from tests.components.data_prep.conftest import Prepare, numbered, write_csv

CSV = "text,label\na,1\nb,0\n"


def _fill(folder: Path, files: list[str]) -> Path:
    for number, name in enumerate(files):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        content = CSV + f"c,{number}\n" * number
        if ".parquet" in name:
            rows = [tuple(line.split(",")) for line in content.split()[1:]]
            pq.write_table(pa.table({"text": [row[0] for row in rows], "label": [row[1] for row in rows]}), file)
        else:
            file.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    return folder


def _rows(folder: Path, config: str | None = None) -> tuple[dict[str, int], list[str]]:
    """Rows of each split, and notes."""
    notes: list[str] = []
    tables = read_files(folder, folder.parent / "work", config=config, note=notes.append)
    return {split: table.num_rows for split, table in tables.items()}, notes


@pytest.mark.parametrize(
    ("files", "splits", "notes"),
    [
        (["Train.csv", "TEST.csv", "Validation.CSV"], {"train": 2, "validation": 4, "test": 3}, []),
        (["train.csv", "validation.csv.gz", "test.csv.gz"], {"train": 2, "validation": 3, "test": 4}, []),
        (["train.csv.gz", "valid.parquet"], {"train": 2, "validation": 3}, []),
        (["train.csv", ".DS_Store", "__MACOSX/._train.csv", "README.md", "LICENSE", "_SUCCESS"], {"train": 2}, []),
        (["train.csv", "train_old.csv", "notes.md"], {"train": 2}, ["Not used: notes.md, train_old.csv."]),
        (
            ["reviews_train.csv", "reviews_dev.csv", "reviews_all.csv"],
            {"train": 2, "validation": 3},
            [
                "The train split is reviews_train.csv.",
                "The validation split is reviews_dev.csv.",
                "Not used: reviews_all.csv.",
            ],
        ),
        (["train-data.csv", "test-data.csv"], {"train": 2, "test": 3}, None),
        (["data/train-00000-of-00001.parquet", "README.md"], {"train": 2}, ["The data of own is in its folder data."]),
        (["mine/train.csv", "mine/dev.csv"], {"train": 2, "validation": 3}, ["The data of own is in its folder mine."]),
        (["train.csv/part-00000-x.csv", "train.csv/part-00001-x.csv", "train.csv/_SUCCESS"], {"train": 5}, []),
        (["part-00000-x.csv", "part-00001-x.csv", "_SUCCESS"], {"train": 5}, None),
        (["reviews.csv", "README.md"], {"train": 2}, ["The file reviews.csv is the training split."]),
        (["training.csv", "evaluation.csv", "testing.csv"], {"train": 2, "validation": 3, "test": 4}, []),
        (["train-00000-of-00002-0a1b.parquet", "train-00001-of-00002-0a1c.parquet"], {"train": 5}, []),
    ],
)
def test_files_of_splits_are_found_and_unused_files_are_noted(
    files: list[str], splits: dict[str, int], notes: list[str] | None, tmp_path: Path
) -> None:
    rows, found_notes = _rows(_fill(tmp_path / "own", files))
    assert rows == splits
    assert found_notes == notes if notes is not None else len(found_notes) > 0


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["train.csv", "train.csv.gz"], r"train split twice: keep one of train\.csv and train\.csv\.gz"),
        (["train.csv", "Train.parquet"], r"train split twice: keep one of Train\.parquet and train\.csv"),
        (["train/a.csv", "train/a.parquet"], r"train split twice"),
        (["train.csv", "validation.pkl"], r"validation\.pkl has the unsupported extension '\.pkl'"),
        (["train.csv", "test.xlsx"], r"test\.xlsx has the unsupported extension '\.xlsx'"),
        (["train-00000-of-00003.csv", "train-00002-of-00003.csv"], r"has 2 of the 3 files of .* number 1 is missing"),
        (["train/good/a.txt", "train/bad/b.txt"], r"train has no data file: .*; it contains bad, good"),
        (["en/train.csv", "de/train.csv"], r"contains several data sets: set data to one of its folders de, en"),
        (["a_train.csv", "b_train.csv"], r"has several training splits \(a_train, b_train\)"),
        (["data.zip", "x.tar.gz"], r"has no training split: unpack data\.zip, x\.tar\.gz"),
        (
            ["reviews.csv", "more.csv"],
            r"no training split: name a file train\.csv .* it contains more\.csv, reviews\.csv",
        ),
        (["test.csv"], r"has no training split: name a file train\.csv .* it contains test\.csv"),
    ],
)
def test_an_ambiguous_folder_is_refused_in_one_line(files: list[str], expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=expected) as caught:
        _rows(_fill(tmp_path / "own", files))
    assert len(str(caught.value)) - len(str(tmp_path)) < 250


def test_a_clone_of_the_hub_follows_its_front_matter(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "own", ["en/tr.csv", "en/a.csv", "en/b.csv", "de/tr.csv", "extra.csv"])
    configs = (
        "---\nlicense: mit\nconfigs:\n- config_name: en\n  data_files:\n  - split: train\n    path: en/tr.csv\n"
        "  - split: validation\n    path: ['en/[ab].csv']\n- config_name: de\n{}  data_files: de/*.csv\n---\n# Mine\n"
    )
    (folder / "README.md").write_text(configs.format(""), encoding="utf-8")
    assert _rows(folder, "en")[0] == {"train": 2, "validation": 7}
    assert _rows(folder, "de")[0] == {"train": 5}
    with pytest.raises(UserError, match="own has the configurations en, de: set hub_config to one of them"):
        _rows(folder)
    (folder / "README.md").write_text(configs.format("  default: true\n"), encoding="utf-8")
    assert _rows(folder)[0] == {"train": 5}
    (folder / "de/tr.csv").unlink()
    with pytest.raises(UserError, match=r"README\.md names the data files 'de/\*\.csv', but .*own has none"):
        _rows(folder)


def test_class_names_in_the_front_matter_of_a_hub_clone_are_those_of_the_ids(prepare: Prepare, tmp_path: Path) -> None:
    write_csv(tmp_path / "own/data/train.csv", numbered(40, [0, 1]))
    (tmp_path / "own/README.md").write_text(
        "---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n"
        "          '0': positive\n          '1': negative\n---\n",
        encoding="utf-8",
    )
    assert prepare(data=str(tmp_path / "own"))[0].manifest.label_names == ["positive", "negative"]


def test_splits_of_other_names_are_noted(tmp_path: Path) -> None:
    data = Dataset.from_dict({"text": ["a"], "label": [1]})
    DatasetDict({"train": data, "unsupervised": data}).save_to_disk(tmp_path / "saved")
    assert _rows(tmp_path / "saved") == ({"train": 1}, ["Splits that are not used: unsupervised."])


def test_save_to_disk_is_read_with_its_class_names(prepare: Prepare, tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    splits = {
        split: Dataset.from_dict({"text": [f"{split} {row}" for row in range(30)], "label": [0, 1] * 15}, features)
        for split in ("train", "validation")
    }
    DatasetDict(splits).save_to_disk(tmp_path / "saved", num_shards={"train": 2, "validation": 1})
    splits["train"].save_to_disk(tmp_path / "one")
    dataset, _ = prepare(data=str(tmp_path / "saved"))
    assert (dataset.manifest.splits, dataset.manifest.label_names) == ({"train": 30, "validation": 30}, ["no", "yes"])
    assert prepare(data=str(tmp_path / "one"))[0].manifest.splits == {"train": 27, "validation": 3}


def test_shards_without_rows_and_in_another_order_of_columns_are_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "own/train"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), folder / "a.parquet")
    pq.write_table(pa.table({"text": pa.nulls(0), "label": pa.nulls(0)}), folder / "b.parquet")
    pq.write_table(pa.table({"label": pa.array([2], pa.int32()), "text": ["c"]}), folder / "c.parquet")
    pq.write_table(pa.table({"label": ["x"], "text": pa.array(["d"]).dictionary_encode()}), folder / "d.parquet")
    notes: list[str] = []
    table = read_files(tmp_path / "own", tmp_path / "work", note=notes.append)["train"]
    assert table.to_pylist() == [{"text": text, "label": label} for text, label in ("a1", "c2", "dx")]
    assert len(notes) == 2 and "without rows: b.parquet" in notes[0] and "label" in notes[1]


def test_a_shard_with_other_columns_is_named(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "own", ["train-1.csv", "train-2.csv"])
    (folder / "train-2.csv").write_text("c,1\nd,0\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"train-2\.csv has other columns \(c, 1\) than train-1\.csv \(text, label\)"):
        _rows(folder)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"text": None, "label": 1}, "has no text in 'text'"),
        ({"text": "a", "label": None}, "has no label"),
        ({"text": "a", "label": 7}, "has the label '7', which is out of range"),
    ],
)
def test_a_wrong_row_is_named_in_its_file(
    wrong: dict[str, Any], expected: str, prepare: Prepare, tmp_path: Path
) -> None:
    for name, last in (("train-0", {"text": "a", "label": 1}), ("train-1", wrong)):
        (tmp_path / f"own/{name}.jsonl").parent.mkdir(exist_ok=True)
        lines = [json.dumps({"text": f"x{row}", "label": row}) for row in range(3)]
        (tmp_path / f"own/{name}.jsonl").write_text("\n".join([*lines, json.dumps(last)]))
    with pytest.raises(UserError, match=rf"^row 8 of the train split \(row 4 of .*train-1\.jsonl\) {expected}"):
        prepare(data=str(tmp_path / "own"), label_names=["no", "yes", "perhaps"])


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_texts_and_labels_of_every_arrow_type_are_the_same(prepare: Prepare, tmp_path: Path, kind: pa.DataType) -> None:
    rows = numbered(40, ["bad", "good"])
    plain, _ = prepare(data=str(write_csv(tmp_path / "a.csv", rows)))
    table = pa.table({"text": [row[0] for row in rows], "label": [row[1] for row in rows]})
    columns = [column.cast(pa.string()).cast(kind) if not pa.types.is_dictionary(kind) else column.dictionary_encode()
               for column in table.columns]  # fmt: skip
    pq.write_table(pa.table(columns, names=table.column_names), tmp_path / "a.parquet")
    assert prepare(data=str(tmp_path / "a.parquet"))[0].manifest.fingerprint == plain.manifest.fingerprint


def test_decimals_are_numbers_and_row_numbers_of_pandas_are_not_texts(prepare: Prepare, tmp_path: Path) -> None:
    labels = pa.array([Decimal(0), Decimal(1)] * 20, pa.decimal128(5, 0))
    numbers = [str(row) for row in range(40)]
    table = pa.table({"review": [f"film {row}" for row in range(40)], "label": labels, "__index_level_0__": numbers})
    pq.write_table(table, tmp_path / "a.parquet")
    dataset, _ = prepare(data=str(tmp_path / "a.parquet"))
    assert (dataset.manifest.text_columns, dataset.manifest.label_names) == (["review"], ["0", "1"])
    pq.write_table(table.set_column(0, "review", pa.array([b"\xff"] * 40)), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="holds bytes that are not UTF-8"):
        prepare(data=str(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.xlsx", b"PK\x03\x04....[Content_Types].xml", "Excel workbook: save its sheet as CSV"),
        ("a.csv.zip", b"PK\x03\x04....", "zip archive .*unpack it"),
        (
            "a.parquet",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "Git LFS pointer, not the data: run `git lfs pull`",
        ),
        ("a.csv", b"<!DOCTYPE html><html>", "HTML page"),
    ],
)
def test_a_file_that_is_not_a_table_is_named_for_what_it_is(
    name: str, content: bytes, expected: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=expected):
        read_files(tmp_path / name, tmp_path / "work")
