"""Patterns of zeros in a weight matrix: anywhere, N of every M inputs, or whole blocks.

A weight matrix has the shape (outputs, inputs). Nothing here imports torch, so that configurations are checked quickly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compaware.components.core.base.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

CHOICES = (
    "'unstructured', 'N:M' such as '2:4' (of every M weights along the inputs, N are kept), "
    "or blocks 'ROWSxCOLUMNS' such as '4x1' (outputs x inputs)"
)


@dataclass(frozen=True)
class Blocks:
    """Zeros come in blocks of `rows` outputs by `columns` inputs; 1 by 1 is the unstructured pattern."""

    rows: int = 1
    columns: int = 1

    def __str__(self) -> str:
        return "unstructured" if self.rows == self.columns == 1 else f"{self.rows}x{self.columns}"

    @property
    def unit_size(self) -> int:
        """Number of weights that are pruned together."""
        return self.rows * self.columns

    @property
    def max_sparsity(self) -> float:
        """The largest fraction of zeros that the pattern allows."""
        return 1.0

    def divides(self, shape: tuple[int, ...]) -> bool:
        """Returns whether a matrix of this shape consists of whole blocks."""
        return len(shape) == 2 and shape[0] % self.rows == 0 and shape[1] % self.columns == 0

    def unit_scores(self, scores: Tensor) -> Tensor:
        """Returns the mean score of every block, flat; `scores` has shape (outputs, inputs)."""
        return self._blocks(scores).mean(dim=(1, 3)).flatten()

    def mask(self, kept_units: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Expands one boolean per block to the block's weights."""
        blocks = kept_units.view(shape[0] // self.rows, shape[1] // self.columns)
        return blocks.repeat_interleave(self.rows, dim=0).repeat_interleave(self.columns, dim=1)

    def admits(self, kept: Tensor) -> bool:
        """Returns whether the zeros (False) fill whole blocks."""
        if not self.divides(tuple(kept.shape)):
            return False
        counts = self._blocks(kept).sum(dim=(1, 3))
        return bool(((counts == 0) | (counts == self.unit_size)).all())

    def holds(self, kept: Tensor) -> bool:
        """Returns whether a final mask follows the pattern."""
        return self.admits(kept)

    def _blocks(self, matrix: Tensor) -> Tensor:
        outputs, inputs = matrix.shape
        return matrix.reshape(outputs // self.rows, self.rows, inputs // self.columns, self.columns)


@dataclass(frozen=True)
class NofM:
    """Of every `m` consecutive weights along the inputs, at most `n` are not zero.

    N:M is defined as in https://arxiv.org/abs/2102.04010: 2:4 and 1:2 are 50 % zeros, 1:4 is 75 %.
    """

    n: int
    m: int

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"

    @property
    def unit_size(self) -> int:
        """Number of weights that are pruned together."""
        return 1

    @property
    def max_sparsity(self) -> float:
        """The fraction of zeros that the pattern implies."""
        return 1 - self.n / self.m

    def divides(self, shape: tuple[int, ...]) -> bool:
        """Returns whether a matrix of this shape consists of whole groups."""
        return len(shape) == 2 and shape[1] % self.m == 0

    def unit_scores(self, scores: Tensor) -> Tensor:
        """Returns every weight's score, flat; infinite for the best `n` of every group, which must be kept."""
        groups = scores.reshape(-1, self.m)
        best = groups.topk(self.n, dim=1).indices
        return groups.scatter(1, best, float("inf")).flatten()

    def mask(self, kept_units: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Reshapes flat booleans to the matrix's shape."""
        return kept_units.view(shape)

    def admits(self, kept: Tensor) -> bool:
        """Returns whether no group has more zeros (False) than the pattern."""
        return self.divides(tuple(kept.shape)) and bool((self._count_kept(kept) >= self.n).all())

    def holds(self, kept: Tensor) -> bool:
        """Returns whether a final mask follows the pattern."""
        return self.divides(tuple(kept.shape)) and bool((self._count_kept(kept) <= self.n).all())

    def _count_kept(self, kept: Tensor) -> Tensor:
        return kept.reshape(-1, self.m).sum(dim=1)


Pattern = Blocks | NofM


def parse_pattern(text: str) -> Pattern:
    """Parses 'unstructured', 'N:M' or 'ROWSxCOLUMNS'.

    Raises:
        UserError: The text is not a pattern.
    """
    if text == "unstructured":
        return Blocks()
    if (match := re.fullmatch(r"(\d+):(\d+)", text)) and 0 < int(match[1]) < int(match[2]):
        return NofM(int(match[1]), int(match[2]))
    if (match := re.fullmatch(r"(\d+)x(\d+)", text)) and int(match[1]) > 0 and int(match[2]) > 0:
        return Blocks(int(match[1]), int(match[2]))
    raise UserError(f"pattern '{text}' is not one of {CHOICES}")


def resolve_sparsity(pattern: Pattern, sparsity: float | None) -> float | None:
    """Returns the target fraction of zeros: the given one, or the fraction that an N:M pattern implies.

    Raises:
        UserError: The fraction is not in (0, 1), or it differs from the one that an N:M pattern implies.
    """
    if isinstance(pattern, NofM):
        if sparsity is not None and abs(sparsity - pattern.max_sparsity) > 1e-6:
            raise UserError(
                f"target_sparsity {sparsity:g} does not fit pattern {pattern}, which has "
                f"{pattern.max_sparsity:g}: leave target_sparsity out, or choose another pattern"
            )
        return pattern.max_sparsity
    if sparsity is not None and not 0 < sparsity < 1:
        raise UserError(f"target_sparsity {sparsity:g} must be a fraction between 0 and 1, such as 0.8")
    return sparsity
