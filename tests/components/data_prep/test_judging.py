"""What models are judged by: the test split, unlabelled rows, the metric and the slice columns."""

import html
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.evaluation.metrics import METRIC_NAMES
from compaware.components.data_prep.config import DataPrepConfig
from compaware.components.data_prep.normalize import normalize_text
from tests.components.data_prep.conftest import Prepare, numbered, write_csv


def _texts(dataset: PreparedDataset, split: str) -> list[str]:
    return dataset.split(split)["text"].to_pylist()


def test_a_test_split_can_be_taken_from_training(prepare: Prepare, tmp_path: Path) -> None:
    rows = numbered(180, "aab") + [(text.upper(), label) for text, label in numbered(60, "aab")]
    file = write_csv(tmp_path / "own.csv", rows)
    without, _ = prepare(data=str(file))
    expected = _texts(without, "validation")
    assert not without.has_test
    dataset, summary = prepare(data=str(file), test_fraction=0.2)
    assert dataset.has_test and summary.metrics["test_rows"] == dataset.manifest.splits["test"]
    # Copies of a text stay together, so one row is missing.
    assert Counter(dataset.labels("test").tolist()) == {0: 32, 1: 15}
    # What decides does not depend on whether there is a test split.
    assert _texts(dataset, "validation") == expected
    assert "There was no labelled test split, so 47 training rows were moved into one (seed 42)." in (
        dataset.manifest.notes
    )
    texts = {split: set(map(normalize_text, _texts(dataset, split))) for split in dataset.manifest.splits}
    assert not any(texts[one] & texts[other] for one in texts for other in texts if one < other)
    assert sum(dataset.manifest.splits.values()) == len(rows)
    first = dataset.manifest.fingerprint
    assert prepare(data=str(file), test_fraction=0.2)[0].manifest.fingerprint == first
    assert prepare(data=str(file), test_fraction=0.2, seed=1)[0].manifest.fingerprint != first


def test_a_test_split_of_the_data_is_used_instead_and_keeps_its_rows(prepare: Prepare, tmp_path: Path) -> None:
    write_csv(tmp_path / "own/train.csv", numbered(100, "ab"))
    write_csv(tmp_path / "own/test.csv", numbered(30, "ab") + numbered(10, "ab", "other"))
    dataset, summary = prepare(data=str(tmp_path / "own"), test_fraction=0.3)
    assert dataset.manifest.splits == {"train": 63, "validation": 7, "test": 40}
    assert not set(_texts(dataset, "test")) & set(_texts(dataset, "train") + _texts(dataset, "validation"))
    assert "Training rows that are also in test: 30 (dropped)." in dataset.manifest.notes
    assert "The data has a labelled test split, so none was taken from training (test_fraction)." in (
        dataset.manifest.notes
    )
    assert (summary.metrics["duplicates_found"], summary.metrics["duplicates_dropped"]) == (30, 30)
    kept, _ = prepare(data=str(tmp_path / "own"), keep_duplicates=True)
    assert kept.manifest.splits == {"train": 90, "validation": 10, "test": 40}


def test_test_rows_that_validation_has_are_dropped_and_a_copy_of_it_is_no_test_split(
    prepare: Prepare, tmp_path: Path
) -> None:
    write_csv(tmp_path / "own/train.csv", numbered(40, "ab"))
    write_csv(tmp_path / "own/validation.csv", numbered(12, "ab", "other"))
    write_csv(tmp_path / "own/test.csv", numbered(16, "ab", "other"))
    dataset, _ = prepare(data=str(tmp_path / "own"))
    assert dataset.manifest.splits == {"train": 40, "validation": 12, "test": 4}
    assert "Test rows that are also in validation: 12 (dropped)." in dataset.manifest.notes
    write_csv(tmp_path / "own/test.csv", numbered(12, "ab", "other"))
    dataset, _ = prepare(data=str(tmp_path / "own"), test_fraction=0.1)
    assert "No test row is left, so the test split is left out." in dataset.manifest.notes
    # Then test rows can be taken from training after all.
    assert dataset.manifest.splits == {"train": 36, "validation": 12, "test": 4}


def test_a_test_split_without_a_label_column_is_kept_without_labels(prepare: Prepare, tmp_path: Path) -> None:
    write_csv(tmp_path / "own/train.csv", numbered(40, "ab"))
    write_csv(tmp_path / "own/test.csv", [("row 1",), ("new",), ("newer",)], ["text"])
    dataset, summary = prepare(data=str(tmp_path / "own"), max_test_rows=2, test_fraction=0.1)
    assert dataset.manifest.splits == {"train": 32, "validation": 4, "test": 2, "unlabelled": 2}
    assert dataset.split("unlabelled").column_names == ["text"] and summary.metrics["unlabelled_rows"] == 2
    assert "2 of 3 unlabelled rows were kept (random sample, seed 42)." in dataset.manifest.notes
    assert "The test split has no column 'label' and becomes the split 'unlabelled'." in dataset.manifest.notes
    card = (dataset.path / "card.md").read_text(encoding="utf-8")
    assert "| unlabelled | no labels, used for no choice | 2 |" in card
    assert "| test | reported, used for no choice | 2 |" in card
    # Classes are counted in labelled splits only.
    assert "| class | train | share | validation | share | test | share |\n" in card
    assert "no labels, used for no choice" in (dataset.path / "card.html").read_text(encoding="utf-8")
    # A test file whose texts cannot be read is no obstacle, as it never was.
    pq.write_table(pa.table({"text": ["a", None]}), tmp_path / "own/test.parquet")
    (tmp_path / "own/test.csv").unlink()
    dataset, _ = prepare(data=str(tmp_path / "own"))
    assert list(dataset.manifest.splits) == ["train", "validation"]
    assert "has no column 'label' and is left out, since row 2 of the test split" in dataset.manifest.notes[0]


@pytest.mark.parametrize(("lowest", "rows"), [(-2.5, 20), (0.5, 19)])
def test_minus_one_is_a_number_where_training_has_negative_ones(
    prepare: Prepare, tmp_path: Path, lowest: float, rows: int
) -> None:
    for split in ("train", "validation", "test"):
        numbers = [lowest + row / 7 for row in range(20)]
        numbers[7] = -1 if split == "test" else numbers[7]
        labelled = [(f"{split} {row}", number) for row, number in enumerate(numbers)]
        write_csv(tmp_path / f"own/{split}.csv", labelled, ("text", "label"))
    dataset, _ = prepare(data=str(tmp_path / "own"))
    assert dataset.manifest.splits["test"] == rows


@pytest.mark.parametrize(
    ("labels", "metric", "expected"),
    [
        ("ab", "f1", "F1 is that of the class 'b', the second; set label_names to change that."),
        ("ab", "matthews_correlation", ""),
        ("abc", "f1_macro", ""),
        ([0.5, 1.25], "spearman", ""),
    ],
)
def test_a_metric_can_be_chosen(prepare: Prepare, tmp_path: Path, labels: Any, metric: str, expected: str) -> None:
    file = write_csv(tmp_path / "own.csv", numbered(60, labels))
    dataset, _ = prepare(data=str(file), metric=metric)
    assert dataset.manifest.metric == metric
    assert expected in html.unescape((dataset.path / "card.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("labels", "metric", "expected"),
    [
        ("abc", "f1", "metric=f1 does not suit 3 classes: choose from accuracy, f1_macro, matthews_correlation"),
        ("ab", "pearson", "metric=pearson does not suit 2 classes: choose from accuracy, f1, f1_macro"),
        ([0.5, 1.25], "accuracy", "metric=accuracy does not suit numbers: choose from pearson, spearman"),
        (["['a']", "['a', 'b']"], "accuracy", "metric=accuracy does not suit 2 labels: choose from f1_micro, f1_macro"),
        ("a", "f1", "the training split has only the class 'a': add other classes, or set label_column"),
        ("ab", "auc", "'metric' is \"auc\": input should be 'accuracy', 'f1'"),
    ],
)
def test_a_metric_that_does_not_suit_the_labels_is_refused(
    prepare: Prepare, tmp_path: Path, labels: Any, metric: str, expected: str
) -> None:
    file = write_csv(tmp_path / "own.csv", numbered(60, labels))
    with pytest.raises(UserError, match=expected):
        prepare(data=str(file), metric=metric)


def test_every_metric_can_be_chosen() -> None:
    kinds = DataPrepConfig.model_fields["metric"].annotation
    assert sorted(name for kind in get_args(kinds) for name in get_args(kind)) == sorted(METRIC_NAMES)


HEADER = ("text", "label", "shop", "stars")


def _shops(count: int, word: str = "row") -> list[tuple[object, ...]]:
    """Returns rows whose slice columns follow from their texts."""
    return [(f"{word} {row}", "ab"[row % 2], f"shop {row % 5}", row % 3 or "") for row in range(count)]


def _check_slices(dataset: PreparedDataset) -> None:
    for split in ("validation", "test"):
        numbers = [int(text.split()[-1]) for text in _texts(dataset, split)]
        assert dataset.slices(split).to_pydict() == {
            "shop": [f"shop {number % 5}" for number in numbers],
            "stars": [str(number % 3 or "") for number in numbers],
        }
    assert dataset.slices("train").column_names == []


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_slice_columns_follow_the_rows_through_drops_and_samples(prepare: Prepare, tmp_path: Path, kind: str) -> None:
    files = {"train": _shops(200), "validation": _shops(60, "other"), "test": _shops(70, "third")}
    # Some test rows are dropped as duplicates, and some have no label.
    files["test"] += [("other 3", "b", "shop 3", ""), ("third 101", "", "shop 1", 2), ("third 102", "a", "shop 2", "")]
    for name, rows in files.items():
        file = write_csv(tmp_path / f"own/{name}.csv", rows, HEADER)
        if kind == "parquet":
            columns = dict(zip(HEADER, zip(*rows, strict=True), strict=True))
            stars = pa.array([int(value) if value else None for value in columns["stars"]])
            labels = pa.array([value or None for value in columns["label"]])
            table = pa.table({**{name: columns[name] for name in ("text", "shop")}, "label": labels, "stars": stars})
            pq.write_table(table, file.with_suffix(".parquet"), row_group_size=17)
            file.unlink()
    options: dict[str, Any] = {"slice_columns": ["shop", "stars"], "text_columns": ["text"]}
    dataset, _ = prepare(data=str(tmp_path / "own"), max_validation_rows=31, max_test_rows=50, **options)
    assert dataset.manifest.splits == {"train": 200, "validation": 31, "test": 50, "unlabelled": 1}
    _check_slices(dataset)
    assert "| slices | shop, stars |" in (dataset.path / "card.md").read_text(encoding="utf-8")
    fingerprint = dataset.manifest.fingerprint
    plain, _ = prepare(data=str(tmp_path / "own"), max_validation_rows=31, max_test_rows=50, text_columns=["text"])
    assert plain.manifest.fingerprint == fingerprint and not list(plain.path.glob("slices-*"))
    # Validation and test come from training.
    source = tmp_path / f"own/train.{kind}"
    dataset, _ = prepare(data=str(source), test_fraction=0.2, **options)
    assert dataset.manifest.splits == {"train": 140, "validation": 20, "test": 40}
    _check_slices(dataset)


def test_a_slice_column_is_not_taken_for_the_text_and_its_outer_blanks_are_cut(
    prepare: Prepare, tmp_path: Path
) -> None:
    rows = [(f"row {row}", "ab"[row % 2], ("en", " en", "en  ")[row % 3]) for row in range(40)]
    source = write_csv(tmp_path / "own.csv", rows, ("review", "label", "lang"))
    dataset, _ = prepare(data=str(source), slice_columns=["lang"])
    assert dataset.manifest.text_columns == ["review"]
    assert set(dataset.slices("validation")["lang"].to_pylist()) == {"en"}


def test_slices_of_a_column_with_class_names_have_these_names(prepare: Prepare, tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": Value("int64"), "mood": ClassLabel(names=["calm", "cross"])})
    (tmp_path / "own").mkdir()
    for split in ("train", "validation"):
        moods = [0, 1, None, 1] * 5
        rows = {"text": [f"{split} {row}" for row in range(20)], "label": [0, 1] * 10, "mood": moods}
        Dataset.from_dict(rows, features).to_parquet(tmp_path / f"own/{split}.parquet")
    dataset, _ = prepare(data=str(tmp_path / "own"), text_columns=["text"], slice_columns=["mood"])
    assert dataset.slices("validation")["mood"].to_pylist() == ["calm", "cross", "", "cross"] * 5


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("town", r"the validation split has no column 'town' \(it has text, label, shop\): set slice_columns"),
        ("text", "slice_columns has the text or label column 'text'"),
        ("label", "slice_columns has the text or label column 'label'"),
        ("shop", r"the column 'shop' of the validation split holds list<.*>: slice_columns takes texts, numbers"),
    ],
)
def test_a_column_that_cannot_divide_the_rows_is_refused(
    prepare: Prepare, tmp_path: Path, column: str, expected: str
) -> None:
    (tmp_path / "own").mkdir()
    for split in ("train", "validation"):
        texts = [f"{split} {row}" for row in range(20)]
        table = pa.table({"text": texts, "label": [0, 1] * 10, "shop": [["a"]] * 20})
        pq.write_table(table, tmp_path / f"own/{split}.parquet")
    with pytest.raises(UserError, match=expected):
        prepare(data=str(tmp_path / "own"), text_columns=["text"], slice_columns=[column])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"slice_columns": ["shop"]}, "slice_columns is for own data: also set data"),
        ({"data": "own.csv", "slice_columns": ["shop", "shop"]}, "slice_columns has a column twice"),
        ({"test_fraction": 0.5, "validation_fraction": 0.5}, "leave no training rows: lower them"),
    ],
)
def test_options_that_cannot_work_are_refused_before_the_data_is_read(
    prepare: Prepare, options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UserError, match=expected):
        prepare(**options)
