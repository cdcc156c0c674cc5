"""Which weights to keep: the ones with the best scores that a pattern allows."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from compaware.components.core.base.errors import UserError
from compaware.components.core.sparsity.patterns import Pattern

Scope = Literal["layer", "global"]


def check_shapes(shapes: Mapping[str, tuple[int, ...]], pattern: Pattern) -> None:
    """Refuses matrices that the pattern does not divide into whole blocks or groups.

    Raises:
        UserError: Names the first such matrix.
    """
    for name, shape in shapes.items():
        if not pattern.divides(shape):
            size = "x".join(str(length) for length in shape)
            raise UserError(
                f"pattern {pattern} does not divide '{name}' ({size}, outputs x inputs): exclude it, or choose "
                "another pattern"
            )


def mask_from_scores(
    scores: Mapping[str, Tensor],
    sparsity: float,
    pattern: Pattern,
    scope: Scope = "layer",
    earlier: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Masks (True is kept) with the asked fraction of zeros where the scores are lowest.

    The number of zeros is the fraction of the pattern's units (weights, or whole blocks), rounded: of every
    matrix with scope "layer", of all of them together with scope "global". An N:M pattern may be asked for fewer
    zeros than its own, on the way there: the best N of every group then stay.

    Args:
        scores: By parameter name, of shape (outputs, inputs); higher is worth more.
        sparsity: Fraction of zeros, 0 to the pattern's largest.
        pattern: Where zeros may lie.
        scope: What the fraction is counted over.
        earlier: Masks whose zeros stay zeros and count towards the fraction.

    Raises:
        UserError: The pattern does not divide a matrix, or cannot have so many zeros.
    """
    check_shapes({name: tuple(score.shape) for name, score in scores.items()}, pattern)
    if not 0 <= sparsity <= pattern.max_sparsity:
        raise UserError(f"pattern {pattern} has between 0 and {pattern.max_sparsity:g} zeros, not {sparsity:g}")
    earlier = earlier or {}
    units = {
        name: pattern.unit_scores(score.where(earlier[name], -torch.inf) if name in earlier else score)
        for name, score in scores.items()
    }
    kept = _keep_globally(units, sparsity) if scope == "global" else _keep_by_layer(units, sparsity)
    masks = {name: pattern.mask(kept[name], tuple(score.shape)) for name, score in scores.items()}
    return {name: mask & earlier[name] if name in earlier else mask for name, mask in masks.items()}


def _keep_by_layer(units: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    return {name: _keep(score, sparsity) for name, score in units.items()}


def _keep_globally(units: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    kept = _keep(torch.cat(list(units.values())), sparsity)
    return dict(zip(units, torch.split(kept, [len(score) for score in units.values()]), strict=True))


def _keep(scores: Tensor, sparsity: float) -> Tensor:
    """True for all but the lowest `sparsity` of flat scores; picks by rank, so that ties cannot change the number."""
    kept = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
    kept[scores.topk(round(sparsity * len(scores)), largest=False, sorted=False).indices] = False
    return kept
