"""What a weight is worth: the scores by which weights are kept or pruned.

A pruned weight is zero and its gradient is masked, so no score brings it back; zeros only grow.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import torch
from torch import Tensor

ScoreName = Literal["magnitude", "movement", "snip_momentum"]


class Score(Protocol):
    """A score of every weight of some parameters.

    Attributes:
        state: What has been accumulated over the steps so far, by parameter name; to be saved in checkpoints.
    """

    state: dict[str, Tensor]

    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Takes in one step's gradients; called before the optimizer moves the weights."""

    def value(self, name: str, weight: Tensor) -> Tensor:
        """The score of each weight of a parameter, in its shape; higher is worth more."""


class Magnitude:
    """|w|: large weights matter (Han et al. 2015, https://arxiv.org/abs/1506.02626)."""

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {}

    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Nothing to take in."""

    def value(self, name: str, weight: Tensor) -> Tensor:
        """|w|."""
        return weight.detach().abs()


class _Accumulated:
    """A score that is built up from the gradients of all steps."""

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Adds this step's share; parameters without a gradient keep their score."""
        for name, weight in weights.items():
            if weight.grad is not None:
                self._add(self.state.setdefault(name, torch.zeros_like(weight)), weight, weight.grad)

    def value(self, name: str, weight: Tensor) -> Tensor:
        """What has been accumulated, zero where nothing has."""
        return self.state.get(name, torch.zeros_like(weight))

    def _add(self, score: Tensor, weight: Tensor, gradient: Tensor) -> None:
        raise AssertionError("each score says how a step adds to it")


class Movement(_Accumulated):
    """S = -Σ w · ∂L/∂w: weights that training moves away from zero matter.

    Movement pruning, Sanh et al. 2020, equation in section 4 of https://arxiv.org/abs/2005.07683 (without its
    learning rate, a constant factor).
    """

    def _add(self, score: Tensor, weight: Tensor, gradient: Tensor) -> None:
        score.addcmul_(weight, gradient, value=-1)


class SnipMomentum(_Accumulated):
    """S ← 0.9 · S + |w · ∂L/∂w|: weights that the loss is sensitive to, smoothed over steps.

    SNIP's sensitivity (Lee et al. 2019, https://arxiv.org/abs/1810.02340) with the momentum that Intel Neural
    Compressor's pruner gives it (`SnipMomentumCriterion`, alpha 0.9 and beta 1.0).
    """

    MOMENTUM = 0.9

    def _add(self, score: Tensor, weight: Tensor, gradient: Tensor) -> None:
        score.mul_(self.MOMENTUM).add_((weight * gradient).abs_())


SCORES: dict[ScoreName, type[Magnitude] | type[Movement] | type[SnipMomentum]] = {
    "magnitude": Magnitude,
    "movement": Movement,
    "snip_momentum": SnipMomentum,
}
