"""Dropout with cheaper random numbers.

On CPUs torch draws a number for each element, one after the other, which took a tenth of a training step of a small
student. Sixteen random bits are enough to decide whether an element is kept, and one draw has 64.
"""

import torch
from torch import nn

_CHOICES = 2**16


class BitDropout(nn.Dropout):
    """`torch.nn.Dropout` with the probability rounded to a multiple of 2^-16 on CPUs; unchanged on other devices."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """In training, sets elements (any shape) to zero with probability `p` and scales the others by 1 / (1 - p)."""
        dropped = round(self.p * _CHOICES)
        if not self.training or dropped in (0, _CHOICES) or input.device.type != "cpu":
            return super().forward(input)
        drawn = torch.empty((input.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        numbers = drawn.view(torch.int16)[: input.numel()].view(input.shape)
        kept = (numbers >= dropped - _CHOICES // 2).to(input.dtype)
        return input * kept.mul_(_CHOICES / (_CHOICES - dropped))


def use_bit_dropout(model: nn.Module) -> None:
    """Replaces every `torch.nn.Dropout` by `BitDropout`; weights and their names do not change."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, BitDropout(child.p).train(child.training))
