"""The Dataset artifact and the soft labels that belong to it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import GROUP_ROWS, load_dataset_folder
from compaware.components.core.data.dataset_writer import write_dataset_folder
from compaware.components.core.data.soft_labels import (
    SoftLabelsKey,
    load_soft_labels,
    model_fingerprint,
    write_soft_labels,
)
from compaware.components.core.data.tokenizer import tokenizer_fingerprint
from tests.tiny import make_dataset, make_model

DESCRIPTION: dict[str, Any] = {
    "task": "custom",
    "problem_type": "classification",
    "text_columns": ["text"],
    "label_column": "label",
    "label_names": ["no", "yes"],
    "metric": "accuracy",
    "source": {},
    "notes": [],
}


def test_the_fingerprint_is_of_the_contents(tmp_path: Path) -> None:
    first, same = make_dataset(tmp_path / "a"), make_dataset(tmp_path / "b")
    other_rows, other_names = make_dataset(tmp_path / "c", seed=5), make_dataset(tmp_path / "d", label_names=("n", "p"))
    fingerprints = [data.manifest.fingerprint for data in (first, same, other_rows, other_names)]
    assert fingerprints[0] == fingerprints[1] and len(set(fingerprints)) == 3


def test_an_incomplete_folder_is_rejected(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    (tmp_path / "data/train-00000-of-00001.parquet").unlink()
    with pytest.raises(UserError, match=r"lacks train-00000-of-00001"):
        load_dataset_folder(data.path)
    (tmp_path / "data/manifest.json").unlink()
    with pytest.raises(UserError, match=r"no manifest\.json"):
        load_dataset_folder(data.path)
    with pytest.raises(UserError, match="choose from train, validation"):
        data.split("test")


def test_a_split_of_several_files_comes_back_in_order_however_it_was_written(tmp_path: Path) -> None:
    rows = 50 * GROUP_ROWS + 12_345
    table = pa.table({"text": [f"sentence {row}" for row in range(rows)], "label": np.arange(rows) % 2})
    ways = {"whole": [table], "pieces": [table.slice(start, 7_777) for start in range(0, rows, 7_777)]}
    for folder, tables in ways.items():
        (tmp_path / folder).mkdir()
        write_dataset_folder(tmp_path / folder, {"train": tables}, **DESCRIPTION)
    whole, pieces = (load_dataset_folder(tmp_path / folder) for folder in ways)
    assert [file.name for file in pieces.files("train")] == [f"train-0000{n}-of-00002.parquet" for n in (0, 1)]
    assert pieces.split("train").equals(table) and np.array_equal(pieces.labels("train"), table["label"])
    assert whole.manifest.fingerprint == pieces.manifest.fingerprint
    sizes = [group.num_rows for group in pieces.groups("train")]
    assert sizes == [GROUP_ROWS] * 51 + [2_345] and pieces.group_count("train") == 52
    assert next(pieces.groups("train", [51]))["text"][0].as_py() == f"sentence {51 * GROUP_ROWS}"


def test_soft_labels_come_back_exactly_and_only_for_their_own_data_and_teacher(tmp_path: Path) -> None:
    rows = GROUP_ROWS + 16
    data, other = make_dataset(tmp_path / "data", rows, 8), make_dataset(tmp_path / "other", 16, 8, seed=3)
    teacher, stranger = make_model(tmp_path / "teacher", data), make_model(tmp_path / "stranger", data, seed=1)
    logits = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32)
    key = SoftLabelsKey(
        dataset_fingerprint=data.manifest.fingerprint,
        split="train",
        rows=rows,
        num_labels=2,
        teacher_fingerprint=model_fingerprint(teacher),
        tokenizer_fingerprint=tokenizer_fingerprint(teacher),
        max_length_tokens=32,
    )
    (tmp_path / "soft").mkdir()
    write_soft_labels(tmp_path / "soft", [logits[:GROUP_ROWS], logits[GROUP_ROWS:]], key)
    found = load_soft_labels(tmp_path / "soft", data, teacher=teacher)
    assert np.array_equal(np.concatenate(list(found.groups())), logits)
    assert np.array_equal(next(found.groups([1])), logits[GROUP_ROWS:])
    with pytest.raises(UserError, match="belong to other data"):
        load_soft_labels(tmp_path / "soft", other)
    with pytest.raises(UserError, match=r"no soft_labels\.json"):
        load_soft_labels(tmp_path, data)
    with pytest.raises(UserError, match="belong to another teacher"):
        load_soft_labels(tmp_path / "soft", data, teacher=stranger)
    write_soft_labels(tmp_path / "soft", [logits[:GROUP_ROWS]], key)
    with pytest.raises(UserError, match="are incomplete"):
        load_soft_labels(tmp_path / "soft", data)


def test_unlabelled_rows_and_slices_are_kept_apart_from_what_a_model_is_trained_and_judged_on(tmp_path: Path) -> None:
    labelled = pa.table({"text": ["a", "b", "c"], "label": [0, 1, 1]})
    slices = pa.table({"shop": ["Oslo", "", "Rome"]})
    splits = {name: [labelled] for name in ("train", "validation", "test")}
    more = {"unlabelled": [labelled.select(["text"]).slice(0, 2)]}
    sliced = {name: [slices.slice(0, 1), slices.slice(1)] for name in ("validation", "test")}
    (tmp_path / "plain").mkdir()
    (tmp_path / "more").mkdir()
    write_dataset_folder(tmp_path / "plain", splits, **DESCRIPTION)
    write_dataset_folder(tmp_path / "more", splits | more, slices=sliced, **DESCRIPTION)
    data, plain = load_dataset_folder(tmp_path / "more"), load_dataset_folder(tmp_path / "plain")
    assert data.has_test and data.manifest.splits["unlabelled"] == 2
    assert data.split("unlabelled").to_pylist() == [{"text": "a"}, {"text": "b"}]
    assert next(data.groups("unlabelled")).column_names == ["text"]
    with pytest.raises(UserError, match=r"'unlabelled' of .* has no labels"):
        data.labels("unlabelled")
    assert data.manifest.slice_columns == ["shop"] and data.slices("test").equals(slices)
    assert data.slices("train").num_rows == 3 and data.slices("train").column_names == []
    assert plain.slices("validation").num_rows == 3 and plain.manifest.slice_columns == []
    # They change no model and no score, so soft labels and published versions still match.
    assert data.manifest.fingerprint == plain.manifest.fingerprint
    (tmp_path / "more/slices-test.parquet").unlink()
    with pytest.raises(UserError, match=r"lacks slices-test\.parquet"):
        load_dataset_folder(tmp_path / "more")


def test_an_artifact_of_an_earlier_version_loads(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    file = tmp_path / "data/manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["slice_columns"]
    file.write_text(json.dumps(manifest))
    earlier = load_dataset_folder(data.path)
    assert earlier.manifest.slice_columns == [] and not earlier.has_test
