"""The accuracy criterion: how much of a reference's score another model may lose, as the user asked for it."""

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, computed_field

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Score, Summary

FACT = "criterion"
# Scores are quotients of counts; the slack keeps an exact tie on the right side.
_SLACK = 1e-9
_USUAL_LOSS = 0.01


class Criterion(BaseModel):
    """How much of a reference's score may be lost.

    It keeps what the user asked for and is asked by all who need to know, so that the loss means the same to each.

    Attributes:
        metric_name: The data's primary metric; higher is better.
        baseline: The reference's score. Where it is NaN, nothing passes.
        kind: Whether the loss is a difference of scores, or a part of the baseline's absolute value.
        asked_loss: The largest loss as it was asked for: 0.005, or 0.02 for 2 % of the baseline.
    """

    model_config = ConfigDict(frozen=True)

    metric_name: str
    baseline: Score
    kind: Literal["absolute", "relative"]
    asked_loss: float

    @classmethod
    def create(cls, metric_name: str, baseline: float, absolute: float, relative: float | None = None) -> "Criterion":
        """Takes the relative loss where there is one, else the absolute."""
        if relative is None:
            return Criterion(metric_name=metric_name, baseline=baseline, kind="absolute", asked_loss=absolute)
        return Criterion(metric_name=metric_name, baseline=baseline, kind="relative", asked_loss=relative)

    @classmethod
    def usual(cls, metric_name: str, baseline: float) -> "Criterion":
        """One point (a hundredth) may be lost; for models that were made without a criterion."""
        return cls.create(metric_name, baseline, _USUAL_LOSS)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def allowed_loss(self) -> Score:
        """The largest loss as a difference of scores."""
        return self.asked_loss if self.kind == "absolute" else self.asked_loss * abs(self.baseline)

    def with_baseline(self, baseline: float) -> "Criterion":
        """The same demand with another baseline: the reference on other rows, or another reference."""
        return Criterion(metric_name=self.metric_name, baseline=baseline, kind=self.kind, asked_loss=self.asked_loss)

    def passes(self, score: float) -> bool:
        """Whether a score is good enough; NaN never is."""
        return score >= self.baseline - self.allowed_loss - _SLACK

    def allowance(self, points: bool = False) -> str:
        """The allowed loss in words: `0.0050`, or `0.0100 (2 % of 0.5000)`.

        Args:
            points: Whether to give it in points (hundredths): `0.5 points`, or `1.0 points (2 % of 0.5000)`.
        """
        part = f" ({100 * self.asked_loss:.4g} % of {self.baseline:.4f})" if self.kind == "relative" else ""
        if points:
            return f"{_plain(100 * self.allowed_loss, 1)} points{part}"
        return f"{_plain(self.allowed_loss, 4)}{part}"

    def describe(self, score: float) -> str:
        """A score beside the baseline: `accuracy 0.8500 against 0.9000, a loss of 0.0500 where 0.0100 is allowed`."""
        lost = self.baseline - score
        change = f"a gain of {-lost:.4f}" if lost < 0 else f"a loss of {lost:.4f}"
        if not self.passes(score) and f"{lost:.4f}" == f"{self.allowed_loss:.4f}":
            change = f"a loss of {lost:.6g}"  # Four digits would show a tie.
        compared = f"{self.metric_name} {score:.4f} against {self.baseline:.4f}"
        allowed = f"a loss of {self.allowance()}" if lost < 0 else self.allowance()
        return f"{compared}, {change} where {allowed} is allowed"


class CriterionResult(Criterion):
    """A criterion with the score that it was asked about, as a quantized model's summary keeps it.

    Attributes:
        measured: The quantized model's score.
        runtime: Where it was measured.
        runtime_reason: Why there.
    """

    measured: Score
    runtime: str
    runtime_reason: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether the score is good enough."""
        return self.passes(self.measured)

    @classmethod
    def from_summary(cls, summary: Summary) -> Self | None:
        """Reads the criterion of a summary; None where it has none.

        Raises:
            UserError: It was written by another version.
        """
        found = summary.facts.get(FACT)
        if found is None:
            return None
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            raise UserError(
                f"the accuracy criterion of this model was written by compaware {summary.version}, which this version "
                "does not read: quantize the model again"
            ) from error


def sort_key(score: float) -> float:
    """A score to sort by: NaN comes last."""
    return -math.inf if math.isnan(score) else score


def _plain(value: float, digits: int) -> str:
    """With some decimals, and with more where these would hide something."""
    return f"{value:.{digits}f}" if round(value, digits) == round(value, digits + 6) else f"{value:.4g}"
