"""Trained small classifiers and one whole run of the component, made once for all tests."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.load import load_classifier, save_classifier
from compaware.components.core.sparsity.masks import MaskLock, prunable_parameters
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace, run_stage
from compaware.components.core.training.trainer import train
from compaware.components.quantization_aware_training.config import QuantizationAwareTrainingConfig
from compaware.components.quantization_aware_training.quantize import run
from tests.tiny import make_dataset, make_model, make_soft_labels


@dataclass(frozen=True)
class Run:
    """A finished run of the component."""

    summary: Summary
    folder: Path
    model: Path
    dataset: PreparedDataset


def trained_model(folder: Path, kind: str, layers: int, zeros: float = 0.0) -> tuple[Path, PreparedDataset]:
    """A small BERT that has learnt its data, a part of its encoder's weights zero all the while."""
    data = make_dataset(folder / "data", kind=kind)
    source = make_model(folder / "untrained", data, num_hidden_layers=layers)
    model, tokenizer = load_classifier(source), load_tokenizer(source)
    weights = prunable_parameters(model)
    lock = MaskLock({name: weight.abs() > weight.abs().quantile(zeros) for name, weight in weights.items()})
    options = TrainingOptions(epochs=12, learning_rate=3e-3, max_length_tokens=32)
    workspace = Workspace(ComponentConfig(output=folder / "training"))
    train(model, tokenizer, data, options, workspace, callbacks=[lock] if zeros else [])
    save_classifier(model, tokenizer, folder / "model")
    return folder / "model", data


def with_outliers(source: Path, folder: Path) -> Path:
    """The same function in FP32, but poor in INT8: a few attention values are 300 times the others."""
    model = load_classifier(source)
    with torch.no_grad():
        for layer in model.base_model.encoder.layer:
            layer.attention.self.value.weight[0] *= 300
            layer.attention.self.value.bias[0] = 300
            layer.attention.output.dense.weight[:, 0] /= 300
            layer.attention.output.dense.bias -= layer.attention.output.dense.weight[:, 0] * 300
    save_classifier(model, load_tokenizer(source), folder)
    return folder


def quantize(output: Path, model: Path, data: PreparedDataset, **options: object) -> Run:
    """Runs the component in this process."""
    values = {"output": output, "model": model, "dataset": data.path, "max_length_tokens": 32, **options}
    config = validate(QuantizationAwareTrainingConfig, values)
    return Run(run_stage(config, lambda workspace: run(config, workspace)), output, model, data)


@pytest.fixture(scope="session")
def sparse_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A model with half of its encoder's weights zero, quantized with training on soft labels."""
    folder = tmp_path_factory.mktemp("sparse")
    model, data = trained_model(folder, "sentiment", layers=2, zeros=0.5)
    labels = make_soft_labels(folder / "soft_labels", data)
    return quantize(
        folder / "out", model, data, mode="qat", soft_labels=labels, epochs=1, learning_rate=1e-4, batch_size=16
    )
