"""Dropout whose random numbers do not take longer than the layers around it.

On CPUs torch draws a number for each element, one after the other: of a step of a small student's training that was a
tenth. Sixteen random bits are enough to decide whether an element stays, and one draw has 64.
"""

import torch
from torch import nn

_CHOICES = 2**16


class BitDropout(nn.Dropout):
    """`torch.nn.Dropout` with its probability rounded to a multiple of 2^-16; elsewhere than on CPUs, the same."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Any shape; zeros with probability `p`, the rest scaled by 1 / (1 - p), in training."""
        dropped = round(self.p * _CHOICES)
        if not self.training or dropped in (0, _CHOICES) or input.device.type != "cpu":
            return super().forward(input)
        drawn = torch.empty((input.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        numbers = drawn.view(torch.int16)[: input.numel()].view(input.shape)
        kept = (numbers >= dropped - _CHOICES // 2).to(input.dtype)
        return input * kept.mul_(_CHOICES / (_CHOICES - dropped))


def use_bit_dropout(model: nn.Module) -> None:
    """Puts `BitDropout` in the place of every `torch.nn.Dropout`; weights and their names stay as they are."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, BitDropout(child.p).train(child.training))
