"""Does only what a classifier reads: the last layer's work for the first token.

BERT and its kin classify by what their last layer says of the first token. For that, the layer needs keys and values of
all tokens, and everything else of one: five sixths of its work, in training and in every served form, are for nothing.
"""

from types import MethodType
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel


def use_first_token_only(model: PreTrainedModel) -> bool:
    """Makes the last layer compute its first token alone, where the logits stay the same; weights are untouched.

    What the model then gives as last hidden states is the first token's alone.

    Args:
        model: A sequence classifier; changed in place.

    Returns:
        Whether it was changed: its last layer is like BERT's or DistilBERT's, and only the first token counts.
    """
    for forward, names in _FORMS.items():
        layers = [module for module in model.modules() if all(_has(module, name) for name in names)]
        if layers:
            return _replace(model, layers[-1], forward)
    return False


def _bert(
    layer: Any, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: Any, **__: Any
) -> Any:
    first, attention = hidden_states[:, :1], layer.attention.self
    keys, values = attention.key(hidden_states), attention.value(hidden_states)
    seen = _attend(attention, attention.query(first), keys, values, attention_mask)
    attended = layer.attention.output(seen, first)
    return layer.output(layer.intermediate(attended), attended)


def _distilbert(layer: Any, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any) -> Any:
    first, attention = hidden_states[:, :1], layer.attention
    keys, values = attention.k_lin(hidden_states), attention.v_lin(hidden_states)
    seen = _attend(attention, attention.q_lin(first), keys, values, attention_mask)
    attended = layer.sa_layer_norm(attention.out_lin(seen) + first)
    return layer.output_layer_norm(layer.ffn(attended) + attended)


# The forward pass of a kind of layer, and the modules by which the kind is known.
_FORMS = {
    _bert: ("attention.self.query", "attention.output", "intermediate", "output"),
    _distilbert: ("attention.q_lin", "sa_layer_norm", "ffn", "output_layer_norm"),
}


def _attend(
    attention: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """What one token, (batch, 1, hidden), sees of all, (batch, sequence, hidden)."""
    query, key, value = (
        each.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2) for each in (query, key, value)
    )
    first = None if mask is None else mask[:, :, :1]
    dropout = attention.dropout.p if attention.training else 0.0
    seen = scaled_dot_product_attention(query, key, value, first, dropout, scale=attention.scaling)
    return seen.transpose(1, 2).flatten(2)


def _replace(model: PreTrainedModel, layer: torch.nn.Module, forward: Any) -> bool:
    wanted = _probe(model)
    layer.forward = MethodType(forward, layer)
    try:
        same = torch.allclose(_probe(model), wanted, rtol=1e-4, atol=1e-5)
    except (RuntimeError, IndexError, TypeError, AttributeError):
        same = False  # The head reads other tokens, too, or the layer is like those in its modules' names alone.
    if not same:
        del layer.forward
    return same


@torch.no_grad()
def _probe(model: PreTrainedModel) -> torch.Tensor:
    """Logits for two rows of eight tokens, one of them padded."""
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
