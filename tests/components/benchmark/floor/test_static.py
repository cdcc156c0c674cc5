"""Static-embedding floors, trained from tiny transformers and loaded again."""

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from compaware.components.benchmark.config import BenchmarkConfig, Candidate
from compaware.components.benchmark.floor import static
from compaware.components.benchmark.floor.prepare import prepare_floors
from compaware.components.benchmark.floor.rows import TrainingRows
from compaware.components.benchmark.floor.text_split import TextSplit, text_columns
from compaware.components.benchmark.workers.failures import Failures
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.evaluation.metrics import compute_metrics
from compaware.components.core.models.load import load_classifier
from tests.components.benchmark.floor.test_tfidf import HOSTILE
from tests.tiny import make_dataset, make_model


def trained(dataset: PreparedDataset, folder: Path, **config: object) -> static.StaticPredictor:
    transformer = make_model(folder / "transformer", dataset, **config)
    static.train(dataset.manifest, TrainingRows.draw(dataset, seed=0), folder, transformer)
    return static.StaticPredictor(folder)


@pytest.mark.parametrize(
    ("kind", "labels", "least"),
    [("sentiment", 2, 0.95), ("three_class", 3, 0.6), ("similarity", 1, 0.9), ("topics", 3, 0.85)],
)
def test_every_kind_of_data_is_learned_and_hostile_texts_get_finite_logits(
    kind: str, labels: int, least: float, tmp_path: Path
) -> None:
    dataset = make_dataset(tmp_path / "data", kind=kind)
    predictor = trained(dataset, tmp_path)
    split = TextSplit(text_columns(dataset.split("validation")))
    logits = predictor.predict(split.batch(range(len(split.lengths)), predictor.input_names, None))
    assert logits.shape == (96, labels) and logits.dtype == np.float32
    metric = dataset.manifest.metric
    assert compute_metrics(metric, logits, dataset.labels("validation"))[metric] > least
    hostile = predictor.predict({name: np.array([*HOSTILE, None], object)[:-1] for name in predictor.input_names})
    assert np.isfinite(hostile).all()
    np.testing.assert_array_equal(hostile[0], hostile[1])


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": "roberta"},
        {"model_type": "distilbert", "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2},
        {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2},
    ],
    ids=lambda config: config.get("model_type", "bert"),
)
def test_an_embedding_is_the_reduced_mean_output_for_the_token_alone(config: dict[str, object], tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    predictor = trained(dataset, tmp_path, **config)
    words = ["good", "awful", "film", "the"]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "transformer")
    encoder = load_classifier(tmp_path / "transformer").base_model
    outputs, vectors = [], []
    for word in words:
        states = encoder(**tokenizer(word, return_tensors="pt", return_token_type_ids=False)).last_hidden_state
        outputs.append(states.mean(dim=1)[0].detach().numpy())
        (token,) = tokenizer(word, add_special_tokens=False)["input_ids"]
        vectors.append(predictor._vectors[predictor._index[token]])
    # Of 32 dimensions PCA keeps all, and so the distances.
    for one in range(len(words)):
        distances = [np.linalg.norm(rows[0] - rows[one]) for rows in (outputs, vectors)]
        assert distances[0] == pytest.approx(distances[1], abs=1e-4)


def test_tokens_that_no_training_row_has_are_ignored(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    logits = trained(dataset, tmp_path).predict({"text": np.array(["good film", "seven good film", "seven"], object)})
    np.testing.assert_array_equal(logits[0], logits[1])
    assert (logits[2] != logits[0]).all()


def test_without_a_teacher_the_student_is_embedded_and_without_both_the_reason_is_listed(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    folder = make_model(tmp_path / "model", dataset)
    for role, reasons in (("student", []), ("int8", ["static embeddings need a teacher or a student"])):
        models = [Candidate(name="other", role="int8", folder=tmp_path), Candidate(name=role, role=role, folder=folder)]
        config = BenchmarkConfig(output=tmp_path / "out", dataset=dataset.path, candidates=models, floor=("static",))
        failures = Failures()
        variants, trainings = prepare_floors(config, models, dataset, tmp_path / role, failures)
        assert [item.reason.partition(":")[0] for item in failures.items] == reasons
        assert [variant.id for variant in variants] == [] if reasons else ["static_numpy"]
        assert reasons or trainings["static"].rows == 256
