"""Converts a calibrated or trained graph to INT8 operations."""

import copy

import torch
from torchao.quantization.pt2e.constant_fold import constant_fold
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

from compaware.components.core.int8.quantizers import quantize_embeddings, remove_lookup_rounding
from compaware.components.core.int8.saturation import avoid_saturation

_QUANTIZE = {
    torch.ops.quantized_decomposed.quantize_per_channel.default,
    torch.ops.quantized_decomposed.quantize_per_tensor.default,
}


def convert_graph(prepared: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Replaces the fake quantizers of a copy by quantize and dequantize operations with fixed ranges.

    Weights stay FP32 constants that are quantized at every call, which OpenVINO's converter needs; `fold_weights` makes
    them INT8.
    """
    copied = copy.deepcopy(prepared)
    remove_lookup_rounding(copied)
    converted = quantize_embeddings(convert_pt2e(copied, fold_quantize=False))
    # The last training step may have moved weights beyond the observed ranges.
    avoid_saturation(converted)
    return converted


def fold_for_simulation(graph: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Returns a copy with the same outputs that is faster in PyTorch: weights are rounded once, not at every call.

    Args:
        graph: A converted graph whose weights are not folded.
    """
    simulation = copy.deepcopy(graph)
    constant_fold(simulation)
    return simulation


def fold_weights(graph: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Quantizes the weights in place and removes their FP32 copies.

    `convert_pt2e(fold_quantize=True)` leaves the copies in the module and in every file saved from it (57 MB in place
    of 12 for a small BERT).
    """
    constant_fold(graph, lambda node: node.target in _QUANTIZE)
    used = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    tensors = [*graph.named_parameters(remove_duplicate=False), *graph.named_buffers(remove_duplicate=False)]
    for name, _ in tensors:
        if name not in used:
            parent, _, attribute = name.rpartition(".")
            delattr(graph.get_submodule(parent), attribute)
    return graph
