"""TF-IDF floors of every kind of data, trained and loaded again."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import softmax

from compaware.components.benchmark.floor import rows, tfidf
from compaware.components.benchmark.floor.head import fit_head
from compaware.components.benchmark.floor.rows import TrainingRows, draw_rows
from compaware.components.benchmark.floor.text_split import TextSplit, text_columns
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.dataset_writer import write_dataset_folder
from compaware.components.core.evaluation.metrics import compute_metrics
from tests.tiny import make_dataset

# Texts without a known word.
HOSTILE = ["", " ", "\n\t", "unseen words", "😀", "é\u0301 ﷽ 中文", "\u202e", "word " * 20_000]


def trained(dataset: PreparedDataset, folder: Path) -> tfidf.TfidfPredictor:
    tfidf.train(dataset.manifest, TrainingRows.draw(dataset, seed=0), folder)
    return tfidf.TfidfPredictor(folder)


def score(dataset: PreparedDataset, folder: Path) -> tuple[np.ndarray, float]:
    """Returns the logits for validation, and their primary metric."""
    predictor = trained(dataset, folder)
    split = TextSplit(text_columns(dataset.split("validation")))
    logits = predictor.predict(split.batch(range(len(split.lengths)), predictor.input_names, None))
    metric = dataset.manifest.metric
    return logits, compute_metrics(metric, logits, dataset.labels("validation"))[metric]


@pytest.mark.parametrize(
    ("kind", "labels", "least"),
    [("sentiment", 2, 0.95), ("three_class", 3, 0.8), ("similarity", 1, 0.9), ("topics", 3, 0.9)],
)
def test_every_kind_of_data_is_learned_and_has_logits_of_each_label(
    kind: str, labels: int, least: float, tmp_path: Path
) -> None:
    logits, metric = score(make_dataset(tmp_path / "data", kind=kind), tmp_path)
    assert logits.shape == (96, labels) and logits.dtype == np.float32
    assert metric > least


def test_softmax_of_the_logits_is_the_probability_that_logistic_regression_predicts(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    for kind in ("sentiment", "three_class"):
        dataset = make_dataset(tmp_path / kind, kind=kind)
        data, labels = draw_rows(dataset, "train", seed=0)
        values = np.array([[text.count("o"), text.count("a"), len(text)] for text in data["text"].to_pylist()], float)
        logits = fit_head(dataset.manifest, values, labels, strength=1.0).logits(values)
        expected = LogisticRegression(C=1.0, solver="newton-cg").fit(values, labels).predict_proba(values)
        np.testing.assert_allclose(softmax(logits, axis=1), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["sentiment", "similarity", "topics"])
def test_texts_without_a_known_word_get_finite_logits(kind: str, tmp_path: Path) -> None:
    predictor = trained(make_dataset(tmp_path / "data", kind=kind), tmp_path)
    split = TextSplit(dict.fromkeys(predictor.input_names, HOSTILE))
    split.save(tmp_path / "texts.npz")
    loaded = TextSplit.load(tmp_path / "texts.npz")
    batch = loaded.batch(range(len(HOSTILE)), predictor.input_names, None)
    assert all(batch[name].tolist() == HOSTILE for name in predictor.input_names)
    assert loaded.lengths.tolist() == split.lengths.tolist()
    logits = predictor.predict(batch)
    assert np.isfinite(logits).all()
    np.testing.assert_array_equal(logits[0], logits[1])


def test_training_twice_gives_the_same_file(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        trained(dataset, tmp_path / name)
    one, two = ((tmp_path / name / tfidf.WEIGHTS_FILE).read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_class_without_a_training_row_is_never_predicted(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, [["good", "bad"][row % 2] + " film" for row in range(40)], labels=[0, 2] * 20)
    logits, _ = score(dataset, tmp_path)
    assert logits.shape == (40, 3) and np.isfinite(logits).all()
    assert set(logits.argmax(axis=1).tolist()) == {0, 2}


@pytest.mark.parametrize(
    ("texts", "labels", "reason"),
    [(["good film"] * 40, [1] * 40, "class"), ([""] * 40, [0, 1] * 20, "empty vocabulary")],
)
def test_data_that_it_cannot_learn_from_ends_with_a_reason(
    texts: list[str], labels: list[int], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=reason):
        trained(_dataset(tmp_path, texts, labels), tmp_path)


def test_of_large_data_a_random_part_is_drawn_the_same_for_each_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sorted by class, in several row groups.
    texts = [f"text {row:05d}" for row in range(25_000)]
    dataset = _dataset(tmp_path, texts, labels=[int(row >= 12_500) for row in range(25_000)])
    monkeypatch.setattr(rows, "MOST_CHARACTERS", 5_000)
    drawn, labels = draw_rows(dataset, "train", seed=1)
    assert drawn.num_rows == len(labels) == 500
    numbers = [int(text[5:]) for text in drawn["text"].to_pylist()]
    assert numbers == sorted(set(numbers)) and labels.tolist() == [int(number >= 12_500) for number in numbers]
    assert 200 < labels.sum() < 300
    assert draw_rows(dataset, "train", seed=1)[0].equals(drawn)
    assert not draw_rows(dataset, "train", seed=2)[0].equals(drawn)
    monkeypatch.setattr(rows, "MOST_CHARACTERS", 1_000_000)
    assert draw_rows(dataset, "train", seed=1)[0].num_rows == 25_000


def _dataset(folder: Path, texts: list[str], labels: list[int]) -> PreparedDataset:
    """Writes data of three classes whose splits are equal."""
    table = pa.table({"text": texts, "label": labels})
    manifest = write_dataset_folder(
        folder,
        dict(zip(("train", "validation"), itertools.repeat([table]))),
        task="custom",
        problem_type="classification",
        text_columns=["text"],
        label_column="label",
        label_names=["a", "b", "c"],
        metric="accuracy",
        source={},
        notes=[],
    )
    return PreparedDataset(folder, manifest)
