"""Quantizers for linear layers (per-channel weights, per-tensor activations) and embedding tables (per row)."""

import dataclasses

import torch
from torchao.quantization.pt2e import FakeQuantize, PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
)
from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
    X86InductorQuantizer,
    get_default_x86_inductor_quantization_config,
)

from compaware.components.core.int8.saturation import HALF_RANGE, WidestPairObserver
from compaware.components.core.runtimes.export import example_inputs, graph_inputs

# Minimum scale, as in the X86 quantizer: the scale of an all-zero row must not be 0.
_MIN_SCALE = 2**-12
_LOOKUP = torch.ops.aten.embedding.default


class _EmbeddingQuantizer(Quantizer):
    """Quantizes embedding tables to symmetric INT8 with one scale a row, so that lookups read INT8 rows."""

    _spec = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=_MIN_SCALE),
    )

    def annotate(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
        """Marks the table of every embedding lookup."""
        for node in model.graph.find_nodes(op="call_function", target=_LOOKUP):
            node.meta["quantization_annotation"] = QuantizationAnnotation(
                input_qspec_map={node.args[0]: self._spec}, _annotated=True
            )
        return model

    def validate(self, model: torch.fx.GraphModule) -> None:
        """Nothing to check: any table can be quantized by row."""


def quantize_embeddings(graph: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Quantizes the embedding tables of an exported graph; weights are not folded."""
    prepared = prepare_pt2e(graph, _EmbeddingQuantizer())
    with torch.no_grad():
        prepared(**example_inputs(graph_inputs(prepared)))
    return convert_pt2e(prepared, fold_quantize=False)


def add_lookup_rounding(graph: torch.fx.GraphModule) -> None:
    """Fake-quantizes the outputs of embeddings in place: as if by row of the table, but only for the rows in use."""
    for lookup in graph.graph.find_nodes(op="call_function", target=_LOOKUP):
        with graph.graph.inserting_after(lookup):
            rounded = graph.graph.call_function(_round_rows, (lookup,))
        lookup.replace_all_uses_with(rounded, delete_user_cb=lambda user, new=rounded: user is not new)
    graph.recompile()


def remove_lookup_rounding(graph: torch.fx.GraphModule) -> None:
    """Takes `add_lookup_rounding` back."""
    for node in graph.graph.find_nodes(op="call_function", target=_round_rows):
        node.replace_all_uses_with(node.args[0])
        graph.graph.erase_node(node)
    graph.recompile()


def _round_rows(rows: torch.Tensor) -> torch.Tensor:
    """Rounds rows, (…, hidden), to symmetric INT8 with one scale a row; gradients pass unchanged (straight-through)."""
    scale = (rows.detach().abs().amax(-1, keepdim=True) / HALF_RANGE).clamp(min=_MIN_SCALE)
    rounded = (rows.detach() / scale).round().clamp(-128, 127) * scale
    return rows + (rounded - rows.detach())


def training_quantizer() -> Quantizer:
    """Returns a quantizer that fake-quantizes linear layers for training; for embeddings see `add_lookup_rounding`.

    Activations use the full 8 bits, and weights the ranges of `saturation`.
    """
    settings = get_default_x86_inductor_quantization_config(is_qat=True)
    weight = dataclasses.replace(
        settings.weight,
        observer_or_fake_quant_ctr=FakeQuantize.with_args(observer=WidestPairObserver, eps=_MIN_SCALE),
    )
    # Only linear layers: the global setting also quantizes products of integers (RoBERTa's positions).
    return X86InductorQuantizer().set_function_type_qconfig(
        torch.nn.functional.linear, dataclasses.replace(settings, weight=weight)
    )
