"""Selects the weights to keep: those with the highest scores that a pattern allows."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from compaware.components.core.base.errors import UserError
from compaware.components.core.sparsity.patterns import Pattern

Scope = Literal["layer", "global"]


def check_shapes(shapes: Mapping[str, tuple[int, ...]], pattern: Pattern) -> None:
    """Checks that the pattern divides all matrices into whole blocks or groups.

    Raises:
        UserError: It does not divide a matrix, which the message names.
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
    """Returns masks (True is kept) with the given fraction of zeros where the scores are lowest.

    The number of zeros is the rounded fraction of the pattern's units (weights, or whole blocks): of every matrix with
    scope "layer", of all matrices together with scope "global". During training, the fraction may be lower than that of
    an N:M pattern; the best N of every group are kept in any case.

    Args:
        scores: By parameter name, of shape (outputs, inputs).
        sparsity: Fraction of zeros, 0 to the pattern's largest.
        pattern: Allowed positions of zeros.
        scope: Whether the fraction applies to every matrix, or to all together.
        earlier: Masks whose zeros are kept and count towards the fraction.

    Raises:
        UserError: The pattern does not divide a matrix, or does not allow this fraction of zeros.
    """
    check_shapes({name: tuple(score.shape) for name, score in scores.items()}, pattern)
    if not 0 <= sparsity <= pattern.max_sparsity:
        raise UserError(f"pattern {pattern} allows a sparsity from 0 to {pattern.max_sparsity:g}, not {sparsity:g}")
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
    """Returns True for all but the lowest `sparsity` of flat scores; by rank, so that ties do not change the number."""
    kept = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
    kept[scores.topk(round(sparsity * len(scores)), largest=False, sorted=False).indices] = False
    return kept
