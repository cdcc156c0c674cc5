"""Multi-label data is read from lists of labels and from a column of 0 and 1 for each label."""

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.hub import read_hub
from compaware.components.data_prep.labels import encode_labels
from tests.components.data_prep.conftest import Prepare, write_csv

LISTS = [["toxic"], [], ["insult", "toxic"], ["insult"]] * 10
NAMES = ["insult", "toxic"]
TABLE = [[int(name in row) for name in NAMES] for row in LISTS]


def test_lists_in_json_lines_and_label_columns_in_csv_give_the_same_data(prepare: Prepare, tmp_path: Path) -> None:
    rows = [{"text": f"row {index}", "label": labels} for index, labels in enumerate(LISTS)]
    lines = tmp_path / "train.jsonl"
    lines.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    listed, _ = prepare(data=str(lines))
    assert (listed.manifest.problem_type, listed.manifest.metric) == ("multi_label_classification", "f1_micro")
    assert listed.manifest.label_names == NAMES
    assert listed.labels("train").shape == (36, 2)
    together = {name: listed.split(name)["label"].to_pylist() for name in ("train", "validation")}
    assert sorted(together["train"] + together["validation"]) == sorted(TABLE)
    assert np.array_equal(listed.labels("train"), together["train"])

    table = [[f"row {index}", *row] for index, row in enumerate(TABLE)]
    file = write_csv(tmp_path / "train.csv", table, ("text", *NAMES))
    options = {"problem_type": "multi_label_classification", "label_names": NAMES}
    columns, summary = prepare(data=str(file), **options)
    assert columns.manifest.fingerprint == listed.manifest.fingerprint
    assert columns.manifest.label_column == "insult, toxic"
    card = (columns.path / "card.md").read_text(encoding="utf-8")
    assert "| insult | 18 | 50.0 % | 2 | 50.0 % |" in card
    assert "insult, toxic" in card and "10 have none" in card
    assert summary.metrics["classes"] == 2


def test_listed_classes_of_the_hub_s_layout_keep_their_names(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "labels": Sequence(ClassLabel(names=["joy", "anger", "fear"]))})
    labels = [[index % 3, (index + 1) % 3] for index in range(30)]
    rows = {"text": [f"row {index}" for index in range(30)], "labels": labels}
    (tmp_path / "hub").mkdir()
    Dataset.from_dict(rows, features).to_parquet(tmp_path / "hub/train.parquet")
    tables, class_names = read_hub(str(tmp_path / "hub"), None, None)
    assert class_names == {"labels": ["joy", "anger", "fear"]}
    encoded = encode_labels({"train": tables["train"]["labels"]}, None, class_names["labels"])
    assert encoded.arrays["train"].tolist()[:3] == [[1, 1, 0], [0, 1, 1], [1, 0, 1]]


def test_a_rare_label_is_in_both_splits(prepare: Prepare, tmp_path: Path) -> None:
    rows = [{"text": f"row {index}", "label": ["usual"] + (["rare"] if index < 4 else [])} for index in range(400)]
    file = tmp_path / "train.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    dataset, _ = prepare(data=str(file), validation_fraction=0.5, max_train_rows=100)
    rare = dataset.manifest.label_names.index("rare")
    assert dataset.labels("validation")[:, rare].sum() == 2
    assert dataset.labels("train")[:, rare].sum() == 1


def test_a_wrong_value_in_a_label_column_is_named_with_its_row(prepare: Prepare, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "train.csv", [["a", 0, 1], ["b", 1, 2]], ("text", *NAMES))
    with pytest.raises(
        UserError, match=r"row 2 of the train split \(.*train\.csv\) has '2' in 'toxic': write 0 or 1 in a label column"
    ):
        prepare(data=str(file), problem_type="multi_label_classification", label_names=NAMES)
