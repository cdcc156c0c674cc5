"""BF16 is chosen if the hardware computes it and the loss agrees. The tests emulate BF16 and fake the hardware."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from compaware.components.core.base import cpu
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.load import load_classifier
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.objectives import LogitObjective
from compaware.components.core.training.precision import choose_training_precision
from compaware.components.core.training.trainer import train
from tests.tiny import make_dataset, make_model


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PreTrainedModel:
    monkeypatch.setattr(cpu, "flags", lambda: ("avx2", "avx512_bf16"))
    return load_classifier(make_model(tmp_path / "model", make_dataset(tmp_path / "data", 64, 32)))


def choose(model: PreTrainedModel, asked: str) -> tuple[str, str]:
    ids = torch.arange(32).reshape(4, 8)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.tensor([0, 1, 0, 1])}
    return choose_training_precision(asked, model, batch, LogitObjective())


def test_bf16_is_chosen_if_its_loss_agrees(model: PreTrainedModel, tmp_path: Path) -> None:
    data, tokenizer = make_dataset(tmp_path / "data", 64, 32), load_tokenizer(tmp_path / "model")
    workspace, steps_in_bf16 = Workspace(ComponentConfig(output=tmp_path / "out")), []

    class Recorded(LogitObjective):
        def __call__(self, *arguments: Any) -> Any:
            if torch.is_grad_enabled():
                steps_in_bf16.append(torch.is_autocast_enabled("cpu"))
            return super().__call__(*arguments)

    options = TrainingOptions(epochs=1, learning_rate=1e-3)
    trained = train(model, tokenizer, data, options, workspace, objective=Recorded())
    assert trained.precision == "bf16" and "the loss agrees" in trained.precision_reason
    # An objective may run a teacher of its own.
    assert steps_in_bf16 == [True, True]
    assert model.classifier.weight.dtype == torch.float32


def test_fp32_is_chosen_if_the_loss_differs_in_bf16(model: PreTrainedModel) -> None:
    model.train()
    with torch.no_grad():
        # The distance between the logits, 0.9, is less than BF16 can tell at 1,000.
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([1000.0, 1000.9]))
    precision, reason = choose(model, "auto")
    assert precision == "fp32" and "the loss differs: 0.6931 against" in reason
    assert model.training and choose(model, "bf16") == ("bf16", "precision=bf16")


def test_a_nan_loss_does_not_agree(model: PreTrainedModel) -> None:
    with torch.no_grad():
        model.classifier.bias.fill_(float("nan"))
    assert choose(model, "auto")[0] == "fp32"


def test_bf16_is_not_emulated_unless_asked_for(model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "flags", lambda: ("avx2",))
    assert choose(model, "auto") == ("fp32", "the CPU has no BF16 hardware (emulation would be slower)")
