"""From a calibrated or trained graph to INT8 arithmetic, with nothing of FP32 left behind."""

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
    """Replaces a trained copy's fake-quantizers by quantize and dequantize operations with fixed ranges.

    Weights stay FP32 constants that are quantized at every call, which is how OpenVINO's converter wants them;
    `fold_weights` makes them INT8.
    """
    copied = copy.deepcopy(prepared)
    remove_lookup_rounding(copied)
    converted = quantize_embeddings(convert_pt2e(copied, fold_quantize=False))
    # The last step may have moved weights beyond the ranges that it had seen.
    avoid_saturation(converted)
    return converted


def fold_for_simulation(graph: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """A copy that gives the same answers sooner in PyTorch: weights are rounded once, not at every call.

    Args:
        graph: Converted, not folded.
    """
    simulation = copy.deepcopy(graph)
    constant_fold(simulation)
    return simulation


def fold_weights(graph: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Quantizes the weights once and for all, in place, and drops their FP32 copies.

    `convert_pt2e(fold_quantize=True)` leaves the copies in the module, and so in every file saved from it (57 MB where
    12 are enough for a small BERT).
    """
    constant_fold(graph, lambda node: node.target in _QUANTIZE)
    used = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    tensors = [*graph.named_parameters(remove_duplicate=False), *graph.named_buffers(remove_duplicate=False)]
    for name, _ in tensors:
        if name not in used:
            parent, _, attribute = name.rpartition(".")
            delattr(graph.get_submodule(parent), attribute)
    return graph
