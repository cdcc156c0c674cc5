"""Where zeros may lie in a weight matrix: anywhere, N of every M inputs, or in whole blocks.

A weight matrix has the shape (outputs, inputs). Nothing here imports torch, so that a configuration can be
checked at once.
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
        """Weights that are pruned together."""
        return self.rows * self.columns

    @property
    def max_sparsity(self) -> float:
        """The largest fraction of zeros that the pattern allows."""
        return 1.0

    def divides(self, shape: tuple[int, ...]) -> bool:
        """Whether a matrix of this shape is made of whole blocks."""
        return len(shape) == 2 and shape[0] % self.rows == 0 and shape[1] % self.columns == 0

    def unit_scores(self, scores: Tensor) -> Tensor:
        """Mean score of every block, flat; scores of shape (outputs, inputs)."""
        return self._blocks(scores).mean(dim=(1, 3)).flatten()

    def mask(self, kept_units: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Spreads one boolean per block over the block's weights."""
        blocks = kept_units.view(shape[0] // self.rows, shape[1] // self.columns)
        return blocks.repeat_interleave(self.rows, dim=0).repeat_interleave(self.columns, dim=1)

    def admits(self, kept: Tensor) -> bool:
        """Whether these zeros (False) fill whole blocks."""
        if not self.divides(tuple(kept.shape)):
            return False
        left = self._blocks(kept).sum(dim=(1, 3))
        return bool(((left == 0) | (left == self.unit_size)).all())

    def holds(self, kept: Tensor) -> bool:
        """Whether a finished mask follows the pattern."""
        return self.admits(kept)

    def _blocks(self, matrix: Tensor) -> Tensor:
        outputs, inputs = matrix.shape
        return matrix.reshape(outputs // self.rows, self.rows, inputs // self.columns, self.columns)


@dataclass(frozen=True)
class NofM:
    """Of every `m` weights that follow one another along the inputs, at most `n` are not zero.

    The sense of N:M is that of https://arxiv.org/abs/2102.04010: 2:4 and 1:2 are 50 % zeros, 1:4 is 75 %.
    """

    n: int
    m: int

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"

    @property
    def unit_size(self) -> int:
        """Weights that are pruned together."""
        return 1

    @property
    def max_sparsity(self) -> float:
        """The fraction of zeros of a finished N:M matrix."""
        return 1 - self.n / self.m

    def divides(self, shape: tuple[int, ...]) -> bool:
        """Whether a matrix of this shape is made of whole groups."""
        return len(shape) == 2 and shape[1] % self.m == 0

    def unit_scores(self, scores: Tensor) -> Tensor:
        """Every weight's score, flat; infinite for the best `n` of every group, which must stay."""
        groups = scores.reshape(-1, self.m)
        best = groups.topk(self.n, dim=1).indices
        return groups.scatter(1, best, float("inf")).flatten()

    def mask(self, kept_units: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The flat booleans in the matrix's shape."""
        return kept_units.view(shape)

    def admits(self, kept: Tensor) -> bool:
        """Whether no group has more zeros (False) than a finished one."""
        return self.divides(tuple(kept.shape)) and bool((self._left(kept) >= self.n).all())

    def holds(self, kept: Tensor) -> bool:
        """Whether a finished mask follows the pattern."""
        return self.divides(tuple(kept.shape)) and bool((self._left(kept) <= self.n).all())

    def _left(self, kept: Tensor) -> Tensor:
        return kept.reshape(-1, self.m).sum(dim=1)


Pattern = Blocks | NofM


def parse_pattern(text: str) -> Pattern:
    """Reads 'unstructured', 'N:M' or 'ROWSxCOLUMNS'.

    Raises:
        UserError: The text is none of them.
    """
    if text == "unstructured":
        return Blocks()
    if (found := re.fullmatch(r"(\d+):(\d+)", text)) and 0 < int(found[1]) < int(found[2]):
        return NofM(int(found[1]), int(found[2]))
    if (found := re.fullmatch(r"(\d+)x(\d+)", text)) and int(found[1]) > 0 and int(found[2]) > 0:
        return Blocks(int(found[1]), int(found[2]))
    raise UserError(f"pattern '{text}' is not one of {CHOICES}")


def resolve_sparsity(pattern: Pattern, sparsity: float | None) -> float | None:
    """The fraction of zeros asked for: as given, or the one that an N:M pattern implies.

    Raises:
        UserError: The fraction is not in (0, 1), or an N:M pattern is asked to have another one than its own.
    """
    if isinstance(pattern, NofM):
        if sparsity is not None and abs(sparsity - pattern.max_sparsity) > 1e-6:
            raise UserError(
                f"target_sparsity {sparsity:g} does not go with pattern {pattern}, which by itself is "
                f"{pattern.max_sparsity:g}: leave target_sparsity out, or choose another pattern"
            )
        return pattern.max_sparsity
    if sparsity is not None and not 0 < sparsity < 1:
        raise UserError(f"target_sparsity {sparsity:g} must lie between 0 and 1, as a fraction such as 0.8")
    return sparsity
