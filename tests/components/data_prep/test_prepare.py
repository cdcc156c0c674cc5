"""data_prep turns files, hub data sets and the sample into a complete artifact."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.class_names import class_names_from_features
from compaware.components.data_prep.sample import SPLIT_ROWS
from compaware.components.teacher_check.wordpiece import train_tokenizer
from tests.components.data_prep.conftest import Prepare, numbered, write_csv


def test_the_sample_needs_no_options(prepare: Prepare) -> None:
    dataset, summary = prepare()
    assert dataset.manifest.splits == SPLIT_ROWS
    assert dataset.manifest.label_names == ["negative", "positive"]
    assert summary.metrics["duplicates_found"] == 0
    assert prepare()[0].manifest.fingerprint == dataset.manifest.fingerprint


def test_a_known_task_can_be_read_from_files_with_other_column_names(prepare: Prepare, tmp_path: Path) -> None:
    header = ("sentence", "label")
    write_csv(tmp_path / "own/train.csv", numbered(30, range(6)), header)
    write_csv(tmp_path / "own/validation.csv", numbered(12, range(6), "other"), header)
    dataset, _ = prepare(task="emotion", data=str(tmp_path / "own"))
    assert dataset.manifest.task == "emotion"
    assert dataset.manifest.text_columns == ["sentence"]
    assert dataset.manifest.label_names[0] == "sadness"
    assert dataset.split("train").schema.equals(pa.schema([("text", pa.string()), ("label", pa.int64())]))


def test_pairs_with_given_columns_and_text_labels(prepare: Prepare, tmp_path: Path) -> None:
    rows = [(index, f"claim {index}", f"proof {index}", "yes" if index % 2 else "no") for index in range(40)]
    file = write_csv(tmp_path / "pairs.csv", rows, ("id", "claim", "proof", "verdict"))
    dataset, summary = prepare(data=str(file), text_columns=["claim", "proof"], label_column="verdict")
    assert (dataset.manifest.task, dataset.manifest.metric) == ("custom", "accuracy")
    assert dataset.manifest.label_names == ["no", "yes"]
    assert dataset.manifest.splits == {"train": 36, "validation": 4}
    assert dataset.split("train").column_names == ["text", "text_pair", "label"]
    assert "no validation split" in dataset.manifest.notes[0]
    assert summary.metrics["train_rows"] == 36


def test_regression_of_own_data(prepare: Prepare, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "scores.csv", numbered(50, [0.5, 1, 2.25, 5]))
    dataset, summary = prepare(data=str(file))
    assert (dataset.manifest.problem_type, dataset.manifest.metric) == ("regression", "pearson")
    assert dataset.split("train").schema.field("label").type == pa.float64()
    assert summary.metrics["classes"] == 0
    assert "The labels are numbers with fractions and are treated as regression targets (problem_type)." in (
        dataset.manifest.notes
    )


def test_limits_and_duplicates_are_reported(prepare: Prepare, tmp_path: Path) -> None:
    write_csv(tmp_path / "own/train.csv", numbered(100, "ab"))
    write_csv(tmp_path / "own/dev.csv", [*numbered(40, "ab", "other"), ("row 7", "b"), ("row 8", "b")])
    write_csv(tmp_path / "own/test.csv", numbered(40, "ab", "third"))
    options: dict[str, Any] = {"max_train_rows": 20, "max_validation_rows": 10, "max_test_rows": 6}
    dataset, summary = prepare(data=str(tmp_path / "own"), **options)
    assert dataset.manifest.splits == {"train": 20, "validation": 10, "test": 6}
    assert (summary.metrics["duplicates_found"], summary.metrics["duplicates_dropped"]) == (2, 2)
    assert summary.metrics["conflicting_labels"] == 1
    dataset, summary = prepare(data=str(tmp_path / "own"), keep_duplicates=True)
    assert dataset.manifest.splits["train"] == 100
    assert summary.metrics["duplicates_dropped"] == 0


def test_a_hub_repository_with_class_names_and_a_withheld_test_split(prepare: Prepare, tmp_path: Path) -> None:
    from compaware.components.data_prep.hub import read_hub

    features = Features({"sentence": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    splits = {"train": [0, 1, 1, 0], "validation": [1, 0], "test": [-1, -1]}
    (tmp_path / "hub").mkdir()
    for name, labels in splits.items():
        rows = {"sentence": [f"{name} {index}" for index in range(len(labels))], "label": labels}
        Dataset.from_dict(rows, features).to_parquet(tmp_path / f"hub/{name}.parquet")
    tables, class_names = read_hub(str(tmp_path / "hub"), None, None)
    assert class_names == {"label": ["no", "yes"]}
    assert {name: table.num_rows for name, table in tables.items()} == {"train": 4, "validation": 2, "test": 2}
    dataset, _ = prepare(data=str(tmp_path / "hub"))
    assert dataset.manifest.splits == {"train": 4, "validation": 2, "unlabelled": 2} and not dataset.has_test
    assert dataset.split("unlabelled").to_pylist() == [{"text": "test 0"}, {"text": "test 1"}]
    assert dataset.manifest.notes == ["The test split has no labels and becomes the split 'unlabelled'."]


def _with_class_names(file: Path, names: list[str] | None, ids: list[Any], nested: bool = False) -> None:
    """Writes a file as `datasets` does, with the names in its metadata."""
    label = {"names": names, "_type": "ClassLabel"}
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": {"feature": label} if nested else label}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if names else None
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"text": [f"{file.stem} {row}" for row in range(len(ids))], "label": ids})
    pq.write_table(table.replace_schema_metadata(metadata), file)


@pytest.mark.parametrize(
    ("names", "options", "wanted", "ids"),
    [
        (["positive", "negative"], {}, ["positive", "negative"], [0, 1, 1]),
        (["1", "0"], {}, ["1", "0"], [0, 1, 1]),
        (["positive", "negative"], {"label_names": ["negative", "positive"]}, ["negative", "positive"], [1, 0, 0]),
        (["positive", "negative"], {"label_names": ["good", "bad"]}, ["good", "bad"], [0, 1, 1]),
        (["POSITIVE", "NEGATIVE"], {"task": "sst2"}, ["negative", "positive"], [1, 0, 0]),
    ],
)
def test_class_names_in_the_metadata_of_parquet_are_those_of_the_ids(
    prepare: Prepare, tmp_path: Path, names: list[str], options: dict[str, Any], wanted: list[str], ids: list[int]
) -> None:
    for split in ("train", "validation"):
        _with_class_names(tmp_path / f"own/{split}.parquet", names, [0, 1, 1])
    dataset, _ = prepare(data=str(tmp_path / "own"), text_columns=["text"], **options)
    assert (dataset.manifest.label_names, dataset.labels("train").tolist()) == (wanted, ids)


def test_class_names_of_lists_in_the_metadata_of_parquet_are_read(prepare: Prepare, tmp_path: Path) -> None:
    for split in ("train", "validation"):
        _with_class_names(tmp_path / f"own/{split}.parquet", ["b", "a"], [[0], [0, 1], []], nested=True)
    dataset, _ = prepare(data=str(tmp_path / "own"), label_names=["a", "b"])
    assert dataset.manifest.label_names == ["a", "b"]
    assert dataset.labels("train").tolist() == [[0, 1], [1, 1], [0, 0]]


@pytest.mark.parametrize("other", ["validation", "train-1"])
def test_files_that_name_their_classes_differently_are_refused(prepare: Prepare, tmp_path: Path, other: str) -> None:
    _with_class_names(tmp_path / "own/train-0.parquet", ["no", "yes"], [0, 1, 1])
    _with_class_names(tmp_path / f"own/{other}.parquet", ["yes", "no"], [0, 1, 1])
    with pytest.raises(UserError, match=r"the class names of 'label' differ: .* has yes, no, another has no, yes"):
        prepare(data=str(tmp_path / "own"))


def test_class_names_are_read_from_all_descriptions_that_datasets_writes() -> None:
    features = Features({"text": Value("string"), "one": ClassLabel(names=["b", "a"]), "many": [ClassLabel(2)]})
    expected = {"one": ["b", "a"], "many": ["0", "1"]}
    assert class_names_from_features(features.to_dict()) == expected
    assert class_names_from_features(features._to_yaml_list()) == expected
    assert class_names_from_features(None) == class_names_from_features({"one": "string"}) == {}


def test_the_card_escapes_markup_in_texts(prepare: Prepare, tmp_path: Path) -> None:
    write_csv(tmp_path / "own/train.csv", [("<script>alert(1)</script> a | b\nc", "x"), *numbered(20, "xy")])
    write_csv(tmp_path / "own/dev.csv", numbered(6, "xy", "other"))
    dataset, _ = prepare(data=str(tmp_path / "own"))
    page = (dataset.path / "card.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page
    assert dataset.manifest.fingerprint in page
    text = (dataset.path / "card.md").read_text(encoding="utf-8")
    assert r"\<script\>alert(1)\</script\> a \| b c |" in text


def test_lengths_are_counted_with_the_given_tokenizer(prepare: Prepare, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "own.csv", numbered(30, "ab"))
    train_tokenizer(["row"], 60).save_pretrained(tmp_path / "tokenizer")
    dataset, by_word = prepare(data=str(file))
    assert by_word.metrics["max_length_tokens"] == 2
    assert "words between spaces" in (dataset.path / "card.html").read_text(encoding="utf-8")
    # [CLS] row [UNK] [SEP]
    _, by_token = prepare(data=str(file), tokenizer=str(tmp_path / "tokenizer"))
    assert by_token.metrics["max_length_tokens"] == 4


def test_lengths_of_a_large_split_are_sampled_and_the_card_says_so(prepare: Prepare, tmp_path: Path) -> None:
    rows = 101_000
    table = pa.table({"text": [f"row {index}" for index in range(rows)], "label": ["a", "b"] * (rows // 2)})
    (tmp_path / "own").mkdir()
    pq.write_table(table, tmp_path / "own/train.parquet")
    write_csv(tmp_path / "own/dev.csv", numbered(12, "ab", "one more"))
    dataset, summary = prepare(data=str(tmp_path / "own"))
    assert dataset.manifest.splits == {"train": rows, "validation": 12}
    assert summary.facts["lengths"]["rows"] == {"train": 100_000, "validation": 12}
    assert summary.facts["lengths"]["histogram"] == [{"start": 2, "end": 2, "rows": 100_000}]
    for card in ("card.html", "card.md"):
        assert "measured on a sample of 100,000 rows" in (dataset.path / card).read_text(encoding="utf-8")


def test_long_passes_log_their_progress(prepare: Prepare, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write_csv(tmp_path / "own.csv", numbered(40, "ab"))
    with caplog.at_level("INFO"):
        prepare(data=str(file))
    assert any(line.startswith("progress: row 40/40, looking for duplicates") for line in caplog.messages)
    assert any(line.startswith("progress: row 36/36, train written") for line in caplog.messages)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"task": "sst-2"}, "unknown task 'sst-2': choose from sample, cola"),
        ({"task": "custom"}, "task=custom needs data"),
        ({"label_column": "stars"}, "label_column is for own data"),
        ({"data": "{}/nowhere.csv"}, r"no file or folder .*nowhere\.csv"),
        ({"data": "missing.csv"}, r"no file or folder missing\.csv"),
        ({"data": "{}"}, "has no training split"),
        (
            {"data": "{}/train.csv", "label_column": "stars"},
            r"no column 'stars' \(it has id, title, body, label\): set label_column",
        ),
        (
            {"data": "{}/train.csv", "text_columns": ["text"]},
            r"no column 'text' \(it has id, title, body, label\): set text_columns",
        ),
        ({"data": "{}/train.csv"}, r"set text_columns \(columns: id, title, body\)"),
        ({"data": "{}/train.csv", "text_columns": ["a", "b", "c"]}, "text_columns"),
        ({"data": "{}/single.csv", "task": "mrpc"}, r"set text_columns \(columns: text\)"),
        ({"data": "{}/train.csv", "text_columns": ["body"], "label_names": ["x", "y"]}, "none of 'x', 'y'"),
        ({"data": "{}/train.csv", "text_columns": ["body"], "max_train_rows": 1}, "which the training split lacks"),
        ({"data": "{}/train.csv", "text_columns": ["body"], "tokenizer": "{}/none"}, "there is no such folder"),
        ({"data": "{}/train.csv", "text_columns": ["body", "body"]}, "text_columns has a column twice"),
        ({"data": "{}/train.csv", "text_columns": ["body", "label"]}, "text_columns has the label column 'label'"),
    ],
)
def test_bad_input_is_one_line(options: dict[str, Any], expected: str, prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    rows = [(index, f"title {index}", f"body {index}", "ab"[index % 2]) for index in range(40)]
    write_csv(tmp_path / "own/train.csv", rows, ("id", "title", "body", "label"))
    write_csv(tmp_path / "own/single.csv", numbered(40, "ab"))
    folder = tmp_path / ("empty" if options.get("data") == "{}" else "own")
    filled = {key: value.format(folder) if isinstance(value, str) else value for key, value in options.items()}
    with pytest.raises(UserError, match=expected) as caught:
        prepare(**filled)
    assert "\n" not in str(caught.value)


def test_a_missing_text_is_named_with_its_row(prepare: Prepare, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", None], "label": [0, 1]}), tmp_path / "own.parquet")
    with pytest.raises(UserError, match=r"row 2 of the train split \(.*own\.parquet\) has no text in 'text'"):
        prepare(data=str(tmp_path / "own.parquet"))


def test_text_that_is_numbers_is_refused(prepare: Prepare, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2], "label": [0, 1]}), tmp_path / "own.parquet")
    with pytest.raises(UserError, match="holds int64, not text"):
        prepare(data=str(tmp_path / "own.parquet"))


def test_one_class_only_is_refused(prepare: Prepare, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "own.csv", numbered(20, ["same"]))
    with pytest.raises(UserError, match="only the class 'same'"):
        prepare(data=str(file))


def test_a_mistake_on_the_command_line_gives_one_line_and_exit_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "compaware.components.data_prep", f"output={tmp_path / 'out'}", "task=imdb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: unknown task 'imdb'")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
