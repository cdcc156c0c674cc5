"""Caching the outputs of frozen layers does not change the training, for any family and number of processes."""

import logging
from pathlib import Path

import pytest
import torch

from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.text import Collator
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.data.tokens import tokenize_split
from compaware.components.core.models.families import limitation
from compaware.components.core.models.layers import encoder_layers, freeze_layers
from compaware.components.core.models.load import load_classifier
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.speedups import frozen_layers as frozen_states
from compaware.components.core.training.speedups.bit_dropout import BitDropout, use_bit_dropout
from compaware.components.core.training.speedups.frozen_layers import FrozenStates
from compaware.components.core.training.trainer import train
from tests.families.models import MODELS as FAMILIES
from tests.families.models import make_family
from tests.tiny import make_dataset, make_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return make_dataset(tmp_path_factory.mktemp("data"), 100, 40)


def written(folder: Path, data: PreparedDataset) -> tuple[FrozenStates, Collator, torch.nn.Module]:
    model, tokenizer = load_classifier(folder), load_tokenizer(folder)
    freeze_layers(model, 1)
    splits = [tokenize_split(data, name, tokenizer, 32, folder / "tokens") for name in ("train", "validation")]
    file = folder / "states"
    file.touch()
    return FrozenStates(model.eval(), 1, splits, file.open("r+b")), Collator(tokenizer), model


def test_training_with_the_cache_equals_training_without_it(
    tmp_path: Path, data: PreparedDataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_model(tmp_path / "model", data, num_hidden_layers=3)
    caplog.set_level(logging.INFO)

    def trained(output: str) -> dict[str, torch.Tensor]:
        model = load_classifier(folder)
        freeze_layers(model, 2)
        workspace = Workspace(ComponentConfig(output=tmp_path / output))
        options = TrainingOptions(epochs=3, learning_rate=3e-3, precision="fp32")
        train(model, load_tokenizer(folder), data, options, workspace, frozen_layers=2)
        assert not list((tmp_path / f"{output}.work").rglob("frozen-states*"))
        return model.state_dict()

    cached = trained("cached")
    assert "outputs of the frozen layers are cached" in caplog.text
    monkeypatch.setattr(frozen_states, "_MAX_BYTES", 0)
    computed = trained("computed")
    assert "frozen layers run at every step" in caplog.text
    before = load_classifier(folder).state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in cached.items())
    for name, value in computed.items():
        torch.testing.assert_close(cached[name], value, msg=name)


@pytest.mark.parametrize("family", [family for family in FAMILIES if limitation(family, "kept_layers") is None])
def test_the_cache_replaces_the_frozen_layers_of_any_family(family: str, tmp_path: Path, data: PreparedDataset) -> None:
    states, collator, model = written(make_family(family, tmp_path / "model", data), data)
    states.write(collator)
    assert states.is_exact(collator)
    batch = collator(states.splits[0].__getitems__([0, 1, 2, 3, 4, 5, 6]))
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids") if name in batch}
    assert len(set(batch["attention_mask"].sum(1).tolist())) > 1  # So that some rows are padded.
    with torch.no_grad():
        expected = model(**inputs).logits
        states.load(batch["number"], batch["attention_mask"])
        for parameter in model.get_submodule(encoder_layers(model)[0])[0].parameters():
            parameter.fill_(float("nan"))
        with states.replay():
            replayed = model(**inputs).logits
    torch.testing.assert_close(replayed, expected, rtol=1e-4, atol=1e-5)


def test_the_cache_is_not_used_if_padding_changes_the_hidden_states(tmp_path: Path, data: PreparedDataset) -> None:
    states, collator, _ = written(make_model(tmp_path / "model", data), data)
    collator._tokenizer.padding_side = "left"
    states.write(collator)
    assert not states.is_exact(collator)


def test_the_processes_of_a_node_write_a_share_each_and_read_all(
    tmp_path: Path, data: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The processes are played here, one after the other.
    folder = make_model(tmp_path / "model", data)
    monkeypatch.setattr(frozen_states, "local_world_size", lambda: 2)
    monkeypatch.setattr(frozen_states, "_BATCH_ROWS", 16)
    ranks = [written(folder, data)[0] for _ in range(2)]
    collator = Collator(load_tokenizer(folder))
    for number, states in enumerate(ranks):
        monkeypatch.setattr(frozen_states, "local_rank", lambda number=number: number)
        assert number == 0 or not states.is_exact(collator)
        states.write(collator)
    assert all(states.is_exact(collator) for states in ranks)


@pytest.mark.parametrize("family", ["bert", "deberta-v2"])  # Layers that return a tensor, and a tuple.
def test_a_process_without_a_share_of_the_rows_can_use_the_cache(
    family: str, tmp_path: Path, data: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_family(family, tmp_path / "model", data)
    writer, collator, _ = written(folder, data)
    writer.write(collator)
    idle, collator, _ = written(folder, data)
    monkeypatch.setattr(frozen_states, "local_world_size", lambda: 100)
    monkeypatch.setattr(frozen_states, "local_rank", lambda: 99)
    idle.write(collator)
    assert idle.is_exact(collator)


def test_frozen_layers_stay_in_evaluation_mode_and_the_others_do_not(tmp_path: Path, data: PreparedDataset) -> None:
    model = load_classifier(make_model(tmp_path / "model", data))
    freeze_layers(model, 1)
    use_bit_dropout(model)
    model.train()
    drops = {name: module.training for name, module in model.named_modules() if isinstance(module, BitDropout)}
    frozen = {name for name in drops if ".embeddings." in name or ".layer.0." in name}
    assert frozen and {name for name, active in drops.items() if not active} == frozen
