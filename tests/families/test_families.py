"""Every stage with tiny models of many families, compared with the table in `core.models.families`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.text import table_batches
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.int8.convert import convert_graph
from compaware.components.core.int8.fake_quantized import FakeQuantizedClassifier
from compaware.components.core.int8.mixed_precision import count_by_precision
from compaware.components.core.int8.ptq import quantize_after_training, run_graph
from compaware.components.core.int8.save import save_int8_files
from compaware.components.core.models.build import new_classifier
from compaware.components.core.models.families import FAMILIES, LIMITS, STAGES, UNSUPPORTED
from compaware.components.core.models.load import load_classifier
from compaware.components.core.models.pairing import input_names, max_sequence_tokens
from compaware.components.core.runtimes.formats import RuntimeName, TokenBatch
from compaware.components.core.runtimes.predictors import open_runtime
from compaware.components.core.runtimes.servable import conversion_error, require_servable
from compaware.components.distillation import distil
from compaware.components.distillation.config import DistillationConfig
from compaware.components.sparsity_aware_training import sparsify
from compaware.components.sparsity_aware_training.config import SparsityAwareTrainingConfig
from compaware.components.teacher_check import check
from compaware.components.teacher_check.config import TeacherCheckConfig
from compaware.components.teacher_check.wordpiece import train_tokenizer
from tests.families.models import MODELS, SMALL, make_family
from tests.families.stages import run_component
from tests.tiny import make_dataset

# Clearly above chance, since half of the rows have each label.
LEARNT = 0.7
RUNTIMES: tuple[RuntimeName, ...] = ("onnxruntime", "openvino")
TRAINING = {"learning_rate": 3e-3, "batch_size": 16, "max_length_tokens": 32}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return make_dataset(tmp_path_factory.mktemp("data"), 320, 64)


class Stages:
    """The stages of one family, in a folder.

    Args:
        family: Name of the family.
        root: Folder for all outputs.
        data: The data.
    """

    def __init__(self, family: str, root: Path, data: PreparedDataset):
        self._family, self._root, self._data = family, root, data
        self._shared = {"dataset": data.path, **TRAINING}
        self._soft = {"soft_labels": root / "soft"}

    def teacher(self) -> None:
        """Fine-tunes a model of the family and writes soft labels."""
        source = make_family(self._family, self._root / "source", self._data)
        options = {"fine_tune_if_needed": True, "soft_labels_output": self._root / "soft", "epochs": 8}
        summary = self._run(check, TeacherCheckConfig, "teacher", teacher=str(source), **options)
        assert summary.metrics["teacher_accuracy"] > LEARNT

    def kept_layers(self) -> None:
        """Distils a student that keeps the first of the teacher's two layers."""
        options = {"teacher": self._root / "teacher", "student_layers": [0], "epochs": 4, **self._soft}
        summary = self._run(distil, DistillationConfig, "kept", **options)
        assert summary.metrics["student_accuracy"] > LEARNT
        assert load_classifier(self._root / "kept").fresh_parameters == []

    def other_family(self) -> None:
        """Distils a student of the next family, which has another tokenizer."""
        families = list(FAMILIES)
        other = families[(families.index(self._family) + 1) % len(families)]
        student = make_family(other, self._root / "untrained", self._data)
        options = {"teacher": self._root / "teacher", "student": str(student), "epochs": 8, **self._soft}
        summary = self._run(distil, DistillationConfig, "other", **options)
        assert summary.metrics["student_accuracy"] > LEARNT

    def sparsity(self) -> None:
        """Prunes half of the encoder's weights."""
        options = {"model": self._root / "teacher", "target_sparsity": 0.5, "epochs": 2, **self._soft}
        summary = self._run(sparsify, SparsityAwareTrainingConfig, "sparse", **options)
        assert summary.metrics["sparsity"] == pytest.approx(0.5, abs=0.01)
        assert summary.metrics["sparse_accuracy"] > LEARNT

    def int8(self) -> None:
        """Quantizes with and without training, and compares both runtimes with the simulated INT8 graph."""
        folder, served = self._root / "teacher", self._root / "int8"
        model = load_classifier(folder)
        require_servable(model)
        batches = _batches(folder, input_names(model), self._data)
        inputs = [batch for batch, _ in batches]
        tuned = quantize_after_training(
            model, inputs, lambda graph: _accuracy(graph, batches), lambda score: score > LEARNT
        )
        assert tuned.score > LEARNT
        trained = FakeQuantizedClassifier(model)
        _train_a_little(trained, batches)
        graph = convert_graph(trained.eval().graph)
        assert _accuracy(graph, batches) > LEARNT
        served.mkdir()
        save_int8_files(graph, served, max_sequence_tokens(model.config))
        linear = next(row for row in count_by_precision(graph, served, "onnxruntime") if row["op_type"] == "Linear")
        assert linear["int8"] == linear["total"] > 1
        expected = np.concatenate([run_graph(graph, batch) for batch in inputs])
        for runtime in RUNTIMES:
            predictor = open_runtime(served, runtime, "int8", threads=1)
            logits = np.concatenate([predictor.predict(batch) for batch in inputs])
            # Rounding differs: an activation halfway between two INT8 values may become either.
            margins = (values[:, 1] - values[:, 0] for values in (logits, expected))
            assert np.corrcoef(*margins)[0, 1] > 0.9, runtime

    def _run(self, module: Any, config_class: Any, output: str, **options: Any) -> Summary:
        return run_component(module, config_class, output=self._root / output, **{**self._shared, **options})


def _batches(folder: Path, names: list[str], data: PreparedDataset) -> list[tuple[TokenBatch, np.ndarray]]:
    """Returns the validation split in padded batches of different lengths, with its labels."""
    labels = data.labels("validation")
    found = table_batches(data.split("validation"), load_tokenizer(folder), names, 32, 16)
    return [(batch, labels[rows]) for rows, batch in found]


def _accuracy(graph: torch.fx.GraphModule, batches: list[tuple[TokenBatch, np.ndarray]]) -> float:
    correct = [run_graph(graph, batch).argmax(axis=-1) == labels for batch, labels in batches]
    return float(np.concatenate(correct).mean())


def _train_a_little(model: FakeQuantizedClassifier, batches: list[tuple[TokenBatch, np.ndarray]]) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    for _ in range(4):
        for batch, labels in batches:
            logits = model(**{name: torch.from_numpy(value) for name, value in batch.items()}).logits
            torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)).backward()
            optimizer.step()
            optimizer.zero_grad()


def outcome(stage: Callable[[], None]) -> str | None:
    """Returns why a stage refuses a family, or None if it works."""
    try:
        stage()
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("family", FAMILIES)
def test_each_stage_supports_a_family_as_the_table_says(tmp_path: Path, data: PreparedDataset, family: str) -> None:
    stages = Stages(family, tmp_path, data)
    reasons = {stage: outcome(getattr(stages, stage)) for stage in STAGES}
    limits = LIMITS.get(family, {})
    assert {stage for stage, reason in reasons.items() if reason} == set(limits), reasons
    for stage, reason in limits.items():
        assert reason in str(reasons[stage]) and "\n" not in str(reasons[stage])
        assert not list(tmp_path.glob("*.work/checkpoints/*")), "refused after it was trained"


def test_all_families_have_a_model_and_a_line_in_the_table() -> None:
    assert set(MODELS) == set(FAMILIES)
    assert set(LIMITS) <= set(FAMILIES)
    assert all(set(stages) <= set(STAGES) for stages in LIMITS.values())


OTHERS: dict[str, dict[str, Any]] = {
    "bart": {
        "d_model": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "eos_token_id": 3,
    },
    "fnet": SMALL,
    "mamba": {"hidden_size": 32, "num_hidden_layers": 1},
    "vit": {"hidden_size": 32, "num_hidden_layers": 1},
    "camembert": SMALL,
}


def other(family: str, data: PreparedDataset) -> PreTrainedModel:
    """Returns a random classifier of a family that is not in the table."""
    tokenizer = train_tokenizer(data.split("train")["text"].to_pylist(), 100)
    return new_classifier({"model_type": family, **OTHERS[family]}, data.manifest, tokenizer)


@pytest.mark.parametrize("family", UNSUPPORTED)
def test_an_unsupported_family_is_refused_in_a_line_that_names_supported_ones(
    data: PreparedDataset, family: str
) -> None:
    with pytest.raises(UserError, match=r"^[^\n]* choose one of bert, distilbert, [^\n]*$"):
        require_servable(other(family, data))


@pytest.mark.parametrize("family", ["bart", "fnet"])
def test_families_that_are_refused_by_name_cannot_be_converted(data: PreparedDataset, family: str) -> None:
    assert conversion_error(other(family, data))


def test_an_unlisted_family_passes_if_it_can_be_converted(data: PreparedDataset) -> None:
    require_servable(other("camembert", data))
