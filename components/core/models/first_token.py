"""Computes the last encoder layer for the first token only.

BERT and similar models classify by the last hidden state of the first token. For it, the last layer needs keys and
values of all tokens, but the query, the output and the feed-forward network of the first token only. This saves five
sixths of the layer's work, in training and in every served format.
"""

from types import MethodType
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel


def use_first_token_only(model: PreTrainedModel) -> bool:
    """Makes the last layer compute the first token only, if the logits stay the same; weights are not changed.

    The last hidden states of the model then hold the first token only.

    Args:
        model: A sequence classifier; changed in place.

    Returns:
        Whether the model was changed: its last layer is like BERT's or DistilBERT's, and its head reads the first
        token only.
    """
    for forward, names in _LAYERS.items():
        layers = [module for module in model.modules() if all(_has(module, name) for name in names)]
        if layers:
            return _replace(model, layers[-1], forward)
    return False


def _bert(
    layer: Any, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: Any, **__: Any
) -> Any:
    first, attention = hidden_states[:, :1], layer.attention.self
    keys, values = attention.key(hidden_states), attention.value(hidden_states)
    context = _attend(attention, attention.query(first), keys, values, attention_mask)
    attended = layer.attention.output(context, first)
    return layer.output(layer.intermediate(attended), attended)


def _distilbert(layer: Any, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any) -> Any:
    first, attention = hidden_states[:, :1], layer.attention
    keys, values = attention.k_lin(hidden_states), attention.v_lin(hidden_states)
    context = _attend(attention, attention.q_lin(first), keys, values, attention_mask)
    attended = layer.sa_layer_norm(attention.out_lin(context) + first)
    return layer.output_layer_norm(layer.ffn(attended) + attended)


# Forward pass of a kind of layer → names of the submodules that identify the kind.
_LAYERS = {
    _bert: ("attention.self.query", "attention.output", "intermediate", "output"),
    _distilbert: ("attention.q_lin", "sa_layer_norm", "ffn", "output_layer_norm"),
}


def _attend(
    attention: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Attention of one token, (batch, 1, hidden), to all tokens, (batch, sequence, hidden) → (batch, 1, hidden)."""
    query, key, value = (
        each.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2) for each in (query, key, value)
    )
    first_mask = None if mask is None else mask[:, :, :1]
    dropout = attention.dropout.p if attention.training else 0.0
    context = scaled_dot_product_attention(query, key, value, first_mask, dropout, scale=attention.scaling)
    return context.transpose(1, 2).flatten(2)


def _replace(model: PreTrainedModel, layer: torch.nn.Module, forward: Any) -> bool:
    expected = _probe(model)
    layer.forward = MethodType(forward, layer)
    try:
        same = torch.allclose(_probe(model), expected, rtol=1e-4, atol=1e-5)
    except (RuntimeError, IndexError, TypeError, AttributeError):
        same = False  # The head reads other tokens, too, or only the submodules' names are like BERT's.
    if not same:
        del layer.forward
    return same


@torch.no_grad()
def _probe(model: PreTrainedModel) -> torch.Tensor:
    """Returns logits for two rows of eight tokens, one of them padded."""
    training = model.training
    model.eval()
    ids = torch.arange(16, device=model.device).reshape(2, 8)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    logits = model(input_ids=ids, attention_mask=mask).logits
    model.train(training)
    return logits


def _has(module: torch.nn.Module, name: str) -> bool:
    try:
        module.get_submodule(name)
    except AttributeError:
        return False
    return True
