"""Masks find a model's zeros and keep them with any optimizer."""

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForSequenceClassification

from compaware.components.core.base.errors import UserError
from compaware.components.core.sparsity.masks import MaskLock, masks_of_zeros, prunable_parameters, zero_fraction
from tests.tiny import SMALL_BERT


def small_model(**config) -> torch.nn.Module:
    torch.manual_seed(0)
    values = {**SMALL_BERT, "vocab_size": 40, **config}
    return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(values.pop("model_type"), **values))


def some_zeros(model, fraction=0.7) -> None:
    with torch.no_grad():
        for weight in prunable_parameters(model).values():
            weight.mul_(torch.rand_like(weight) > fraction)


def test_the_encoders_linear_layers_are_pruned_and_nothing_else():
    names = list(prunable_parameters(small_model()))
    assert len(names) == 12  # two layers of query, key, value, attention output, intermediate and output
    assert all(name.startswith("bert.encoder.layer.") and name.endswith(".weight") for name in names)


@pytest.mark.parametrize(
    ("model_type", "config"),
    [
        ("distilbert", {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2}),
        ("roberta", {}),
        ("electra", {"embedding_size": 16}),
        ("albert", {"embedding_size": 16}),
    ],
)
def test_other_architectures_have_encoders_too(model_type, config):
    base = {name: value for name, value in SMALL_BERT.items() if model_type != "distilbert"}
    names = list(prunable_parameters(small_model(**{**base, **config, "model_type": model_type})))
    assert len(names) in {6, 12}
    assert not any(word in name for name in names for word in ("embed", "pooler", "classifier"))


def test_modules_are_excluded_by_pattern():
    model = small_model()
    assert len(prunable_parameters(model, ["*.layer.0.*"])) == 6
    with pytest.raises(UserError, match="matches no linear layer"):
        prunable_parameters(model, ["*.layer.7.*"])
    with pytest.raises(UserError, match="no layer to prune"):
        prunable_parameters(model, ["*"])


def test_a_dense_model_has_no_masks_and_a_sparse_one_has_those_of_its_zeros():
    model = small_model()
    assert masks_of_zeros(model) == {}
    some_zeros(model)
    masks = masks_of_zeros(model)
    assert set(prunable_parameters(model)) <= set(masks)
    for name, mask in masks.items():
        assert torch.equal(mask, model.get_parameter(name) != 0)


@pytest.mark.parametrize("optimizer_class", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_zeros_stay_under_momentum_and_weight_decay(optimizer_class):
    model = small_model()
    # The optimizer has seen the dense weights: its momentum would revive them.
    options = {"momentum": 0.9} if optimizer_class is not torch.optim.AdamW else {}
    optimizer = optimizer_class(model.parameters(), lr=1e-2, weight_decay=0.1, **options)
    tokens, labels = torch.randint(1, 40, (16, 8)), torch.randint(0, 2, (16,))
    lock = MaskLock({})
    for step in range(8):
        if step == 3:
            some_zeros(model)
            lock = MaskLock(masks_of_zeros(model))
        lock.attach(model)
        optimizer.zero_grad()
        cross_entropy(model(tokens).logits, labels).backward()
        lock.mask_gradients()
        optimizer.step()
        lock.apply()
    for name, mask in lock.masks.items():
        assert torch.equal(mask, model.get_parameter(name) != 0)
    assert zero_fraction(prunable_parameters(model)) > 0.6


def test_a_mask_for_a_missing_parameter_is_an_error():
    with pytest.raises(KeyError, match="elsewhere"):
        MaskLock({"elsewhere": torch.ones(2, 2, dtype=torch.bool)}).attach(small_model())
