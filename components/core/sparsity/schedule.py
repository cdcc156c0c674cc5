"""Schedule of the fraction of zeros during training."""

from dataclasses import dataclass

# Number of updates of the masks; each one sorts all weights, so they are not updated at every step.
_UPDATES = 50


@dataclass(frozen=True)
class CubicSchedule:
    """Increases sparsity from `initial` to `target`, fast at first and slowly at the end.

    At step t, the sparsity is s(t) = target + (initial - target) · (1 - (t - begin) / (end - begin))³
    (Zhu & Gupta 2017, https://arxiv.org/abs/1710.01878, equation 1).

    Attributes:
        initial: Fraction of zeros at `begin`.
        target: Fraction of zeros from `end` on.
        begin: Optimizer step at which pruning begins.
        end: Optimizer step from which the masks are fixed.
    """

    initial: float
    target: float
    begin: int
    end: int

    @classmethod
    def over(
        cls, steps: int, initial: float, target: float, begin_fraction: float, end_fraction: float
    ) -> "CubicSchedule":
        """Creates a schedule over a part of a training of `steps` optimizer steps; it ends within the training."""
        end = min(max(round(end_fraction * steps), 1), steps)
        return cls(initial, target, begin=min(int(begin_fraction * steps), end - 1), end=end)

    def sparsity(self, step: int) -> float:
        """Returns the fraction of zeros after `step` optimizer steps."""
        remaining = 1 - (min(max(step, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return self.target + (self.initial - self.target) * remaining**3

    def is_due(self, step: int) -> bool:
        """Returns whether the masks are updated after this step."""
        every = max(1, (self.end - self.begin) // _UPDATES)
        return step == self.end or (self.begin < step < self.end and (step - self.begin) % every == 0)
