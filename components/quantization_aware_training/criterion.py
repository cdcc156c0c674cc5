"""The accuracy criterion: how much of the FP32 model's score the INT8 model may lose."""

from dataclasses import dataclass
from typing import Literal

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Criterion:
    """Judges scores against the FP32 model that came in.

    Attributes:
        metric_name: The data's primary metric; higher is better.
        baseline: The FP32 model's score.
        allowed_loss: Largest loss, absolute.
        kind: Whether it was given as an absolute loss or as a part of the baseline.
    """

    metric_name: str
    baseline: float
    allowed_loss: float
    kind: Literal["absolute", "relative"]

    @classmethod
    def create(cls, metric_name: str, baseline: float, absolute: float, relative: float | None) -> "Criterion":
        """Takes the relative loss where there is one, else the absolute."""
        if relative is None:
            return cls(metric_name, baseline, absolute, "absolute")
        return cls(metric_name, baseline, relative * abs(baseline), "relative")

    def passes(self, score: float) -> bool:
        """Whether a score is good enough."""
        return score >= self.baseline - self.allowed_loss - _ROUNDING
