"""Scores of weights, by which they are kept or pruned.

A pruned weight is zero and its gradient is masked, so it is never restored.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

ScoreName = Literal["magnitude", "movement", "snip_momentum"]


class Score(ABC):
    """A score of every weight of some parameters.

    Attributes:
        state: Values accumulated over the steps, by parameter name; checkpoints must hold them.
    """

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {}

    @abstractmethod
    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Updates the score with the gradients of a step; called before the optimizer step."""

    @abstractmethod
    def value(self, name: str, weight: Tensor) -> Tensor:
        """Returns the score of each weight of a parameter, in its shape; the lowest are pruned."""


class Magnitude(Score):
    """|w|: keeps large weights (Han et al. 2015, https://arxiv.org/abs/1506.02626)."""

    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Does nothing: the score does not depend on gradients."""

    def value(self, name: str, weight: Tensor) -> Tensor:
        """Returns |w|."""
        return weight.detach().abs()


class _Accumulated(Score):
    """A score that is accumulated from the gradients of all steps."""

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Adds the score of this step; a parameter without a gradient keeps its score."""
        for name, weight in weights.items():
            if weight.grad is not None:
                self._add(self.state.setdefault(name, torch.zeros_like(weight)), weight, weight.grad)

    def value(self, name: str, weight: Tensor) -> Tensor:
        """Returns the accumulated score, zeros before the first update."""
        return self.state[name] if name in self.state else torch.zeros_like(weight)

    @abstractmethod
    def _add(self, score: Tensor, weight: Tensor, gradient: Tensor) -> None:
        """Adds one step to a parameter's score, in place."""


class Movement(_Accumulated):
    """S = -Σ w · ∂L/∂w: keeps weights that training moves away from zero.

    Movement pruning (Sanh et al. 2020, https://arxiv.org/abs/2005.07683, section 4), without its learning rate,
    which is a constant factor.
    """

    def _add(self, score: Tensor, weight: Tensor, gradient: Tensor) -> None:
        score.addcmul_(weight, gradient, value=-1)


class SnipMomentum(_Accumulated):
    """S ← 0.9 · S + |w · ∂L/∂w|: keeps weights that the loss is sensitive to, smoothed over steps.

    SNIP's sensitivity (Lee et al. 2019, https://arxiv.org/abs/1810.02340) with the momentum that Intel Neural
    Compressor's pruner gives it (`SnipMomentumCriterion`: alpha 0.9, beta 1.0).
    """

    MOMENTUM = 0.9

    def _add(self, score: Tensor, weight: Tensor, gradient: Tensor) -> None:
        score.mul_(self.MOMENTUM).add_((weight * gradient).abs_())


SCORES: dict[ScoreName, type[Score]] = {
    "magnitude": Magnitude,
    "movement": Movement,
    "snip_momentum": SnipMomentum,
}
