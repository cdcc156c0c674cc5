"""Weight ranges that keep INT8 products exact on CPUs without VNNI.

These CPUs multiply INT8 by `vpmaddubsw` (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2): it
adds the products of two neighbours along a row, unsigned activation by signed weight, in 16 bits with saturation. With
activations up to 255, the sum fits into 16 bits if two neighbouring weights of the same sign add up to at most 128. So
the range of a row is set by its largest pair, not by its largest weight: about 1.3 times as wide, in place of 2 times
for 7-bit weights, with the same results on every CPU.
"""

import torch
from torchao.quantization.pt2e.observer import PerChannelMinMaxObserver

_QUANTIZE = torch.ops.quantized_decomposed.quantize_per_channel.default
# Scale of a symmetric range: its maximum over half of the 255 steps of a byte.
HALF_RANGE = 127.5


class WidestPairObserver(PerChannelMinMaxObserver):
    """Sets the range of a matrix (out, in) by its `widest_pairs`, without an average over steps."""

    def forward(self, x_orig: torch.Tensor) -> torch.Tensor:
        """Records the ranges and returns the input."""
        self.max_val = widest_pairs(x_orig.detach())
        self.min_val = -self.max_val
        return x_orig


def widest_pairs(weight: torch.Tensor) -> torch.Tensor:
    """Returns the largest sum, in each row, of two neighbours' positive parts or of their negative parts.

    Args:
        weight: (out, in); neighbours are the columns 2i and 2i + 1.

    Returns:
        (out,), at least the row's largest absolute value.
    """
    even = torch.nn.functional.pad(weight, (0, weight.shape[1] % 2))
    halves = [even.clamp(min=0), -even.clamp(max=0)]
    return torch.stack([(half[:, ::2] + half[:, 1::2]).amax(1) for half in halves]).amax(0)


def avoid_saturation(graph: torch.fx.GraphModule) -> None:
    """Widens the scales of linear layers' weights where sums of two products could saturate, in place.

    Args:
        graph: A converted graph whose weights are not folded.
    """
    for node in graph.graph.find_nodes(op="call_function", target=_QUANTIZE):
        dequantized = [user for use in node.users for user in use.users]
        if any(user.target == torch.ops.aten.linear.default for user in dequantized):
            weight, scale = (_tensor(graph, argument) for argument in node.args[:2])
            scale.copy_(torch.maximum(scale, (widest_pairs(weight) / HALF_RANGE).to(scale.dtype)))


def _tensor(graph: torch.fx.GraphModule, node: torch.fx.Node) -> torch.Tensor:
    module, _, name = str(node.target).rpartition(".")
    tensor: torch.Tensor = getattr(graph.get_submodule(module), name).detach()
    return tensor
