"""The fake-quantized model trains like a Hugging Face model and converts to the INT8 graph that it simulated."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSequenceClassification

from compaware.components.core.int8.convert import convert_graph, fold_weights
from compaware.components.core.int8.fake_quantized import FakeQuantizedClassifier
from compaware.components.core.int8.ptq import run_graph
from tests.components.core.int8.small_models import ARCHITECTURES, batch, build
from tests.families.models import MODELS

LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def train_a_little(model: FakeQuantizedClassifier, steps: int = 4) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()
    for step in range(steps):
        output = model(**as_tensors(step))
        torch.nn.functional.cross_entropy(output["logits"], LABELS).backward()
        optimizer.step()
        optimizer.zero_grad()


def as_tensors(seed: int) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in batch(8, 10 + seed, seed).items()}


def ranges(model: FakeQuantizedClassifier) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items() if name.endswith(("_val", "scale"))}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.fixture(scope="module")
def trained() -> FakeQuantizedClassifier:
    model = FakeQuantizedClassifier(build("bert"))
    train_a_little(model)
    return model


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_parameter_gets_a_gradient(architecture: str) -> None:
    model = FakeQuantizedClassifier(build(architecture))
    model(**as_tensors(0)).logits.sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize("family", ["roberta", "gpt2"])
def test_the_graphs_constants_move_with_the_weights_to_another_device(family: str) -> None:
    config = AutoConfig.for_model(family, **MODELS[family][1], vocab_size=50, pad_token_id=1)
    model = FakeQuantizedClassifier(AutoModelForSequenceClassification.from_config(config)).to("meta")
    devices: set[torch.device] = set()
    for node in model.graph.graph.nodes:
        devices |= {value for value in (*node.args, *node.kwargs.values()) if isinstance(value, torch.device)}
    assert devices == {torch.device("meta")}


def test_dropout_is_the_model_s_own_in_training_and_none_in_evaluation(trained: FakeQuantizedClassifier) -> None:
    def probabilities() -> Counter[float]:
        found = Counter[float]()
        for node in trained.graph.graph.nodes:
            if node.target == torch.ops.aten.dropout.default and node.args[2]:
                found[node.args[1]] += 1
            elif node.target == torch.ops.aten.scaled_dot_product_attention.default:
                found[node.kwargs["dropout_p"]] += 1
        return found

    trained.train()
    # Two layers: embeddings once and two a layer, attention once a layer, and the head.
    assert probabilities() == {0.1: 5, 0.2: 2, 0.3: 1}
    trained.eval()
    assert probabilities() == {0.0: 2}
    first, second = (trained(**as_tensors(1)).logits for _ in range(2))
    assert torch.equal(first, second)


def test_ranges_move_in_training_only_and_not_once_frozen() -> None:
    model = FakeQuantizedClassifier(build("bert"))
    train_a_little(model, steps=1)
    seen = ranges(model)
    model.eval()
    model(**as_tensors(5))
    assert same(seen, ranges(model))
    train_a_little(model, steps=1)
    moved = ranges(model)
    assert not same(seen, moved)
    model.freeze_observers()
    train_a_little(model, steps=1)
    assert same(moved, ranges(model))


def test_a_checkpoint_holds_weights_and_ranges(trained: FakeQuantizedClassifier, tmp_path: Path) -> None:
    trained.eval()
    save_file(trained.state_dict(), tmp_path / "model.safetensors")
    other = FakeQuantizedClassifier(build("bert"))
    other.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
    other.eval()
    assert torch.equal(other(**as_tensors(2)).logits, trained(**as_tensors(2)).logits)


def test_the_converted_graph_computes_what_was_simulated(trained: FakeQuantizedClassifier) -> None:
    trained.eval()
    inputs = batch(64, 20, seed=9)
    simulated = run_graph(trained.graph, inputs)
    unfolded = convert_graph(trained.graph)
    answer = run_graph(unfolded, inputs)
    assert (answer.argmax(-1) == simulated.argmax(-1)).mean() >= 0.98
    np.testing.assert_allclose(run_graph(fold_weights(unfolded), inputs), answer, atol=1e-5)


def test_zero_weights_stay_zero_in_int8() -> None:
    model = FakeQuantizedClassifier(build("bert"))
    name = "graph.model.bert.encoder.layer.0.intermediate.dense.weight"
    mask = torch.rand(model.get_parameter(name).shape, generator=torch.Generator().manual_seed(0)) > 0.5
    with torch.no_grad():
        model.get_parameter(name).mul_(mask)
    model(**as_tensors(0))
    model.eval()
    folded = fold_weights(convert_graph(model.graph))
    same_shape = [value for value in folded.state_dict().values() if value.shape == mask.shape]
    assert any(not value[~mask].any() and value[mask].any() for value in same_shape)
