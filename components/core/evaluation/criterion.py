"""The accuracy criterion: the largest loss of a score against a reference model, as the user set it."""

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, computed_field

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Score, Summary
from compaware.components.core.evaluation.intervals import Difference, describe_interval
from compaware.components.core.evaluation.metrics import in_points

FACT = "criterion"
# What a figure says if there are no labelled test rows.
CHOSEN_ON_THESE_ROWS = "chosen on these rows"
# Scores are quotients of counts; the tolerance lets an exact tie pass.
_TOLERANCE = 1e-9
_DEFAULT_LOSS = 0.01
_MANY_ROWS = 1_000_000
# Normal quantiles of 0.975 and 0.8: (1.960 + 0.842) / 1.960. See Chow, Shao and Wang, Sample Size Calculations in
# Clinical Research (2008), chapter 3.
_FOR_POWER = 1.429

GateOn = Literal["point", "interval"]


class Criterion(BaseModel):
    """The largest loss of a score against a reference model.

    All components decide with this class, so that the limit has the same meaning everywhere.

    Attributes:
        metric_name: The data's primary metric; higher is better.
        baseline: Score of the reference. If it is NaN, no score passes.
        kind: Whether the loss is a difference of scores, or a part of the baseline's absolute value.
        asked_loss: The largest loss as the user set it: 0.005, or 0.02 for 2 % of the baseline.
        gate_on: What may not be larger than that: the loss that was measured (`point`), or the upper end of its 95 %
            interval (`interval`), which shows that the model is not inferior.
    """

    model_config = ConfigDict(frozen=True)

    metric_name: str
    baseline: Score
    kind: Literal["absolute", "relative"]
    asked_loss: float
    gate_on: GateOn = "point"

    @classmethod
    def create(
        cls,
        metric_name: str,
        baseline: float,
        absolute: float,
        relative: float | None = None,
        gate_on: GateOn = "point",
    ) -> "Criterion":
        """Creates a criterion from the relative loss if it is given, else from the absolute loss."""
        return Criterion(
            metric_name=metric_name,
            baseline=baseline,
            kind="absolute" if relative is None else "relative",
            asked_loss=absolute if relative is None else relative,
            gate_on=gate_on,
        )

    @classmethod
    def usual(cls, metric_name: str, baseline: float) -> "Criterion":
        """Creates a criterion that allows a loss of 0.01, for models that were made without a criterion."""
        return cls.create(metric_name, baseline, _DEFAULT_LOSS)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def allowed_loss(self) -> Score:
        """The largest loss as a difference of scores."""
        return self.asked_loss if self.kind == "absolute" else self.asked_loss * abs(self.baseline)

    def with_baseline(self, baseline: float) -> "Criterion":
        """Returns the criterion with another baseline: the reference on other rows, or another reference."""
        return Criterion(
            metric_name=self.metric_name,
            baseline=baseline,
            kind=self.kind,
            asked_loss=self.asked_loss,
            gate_on=self.gate_on,
        )

    def on_point(self) -> "Criterion":
        """Returns the criterion that judges the measured loss, for a score without an interval."""
        return self.model_copy(update={"gate_on": "point"})

    def judged(self, score: float, difference: Difference | None = None) -> float:
        """Returns the score that the criterion looks at; NaN if it needs an interval and there is none.

        Args:
            score: The measured score.
            difference: Its paired difference to the reference on the same rows.
        """
        if self.gate_on == "point":
            return score
        return math.nan if difference is None else self.baseline + difference.low

    def passes(self, score: float, difference: Difference | None = None) -> bool:
        """Returns whether a score is good enough; NaN never is. For the arguments see `judged`."""
        return self.judged(score, difference) >= self.baseline - self.allowed_loss - _TOLERANCE

    def rows_to_decide(self, difference: Difference) -> float | None:
        """Estimates how many rows it takes until the interval is on one side of the allowed loss.

        The width of an interval falls with the square root of the number of rows. If the true difference is the
        measured one, the intervals of 80 % of samples with that many rows are on one side. With just enough rows to
        narrow this interval to the limit, it would be half of the samples.

        Returns:
            About how many rows, infinite if the difference is the allowed loss itself; None if the interval already is
            on one side, or if a score is NaN.
        """
        limit = -self.allowed_loss
        if not difference.low < limit <= difference.high:
            return None
        margin = difference.value - limit
        end = difference.low if margin > 0 else difference.high
        if abs(margin) <= _TOLERANCE:
            return math.inf
        return difference.rows * (_FOR_POWER * (difference.value - end) / margin) ** 2

    def allowance(self, points: bool = False) -> str:
        """Formats the allowed loss: `0.0050`, or `0.0100 (2 % of 0.5000)`.

        Args:
            points: Whether to use points (hundredths), except for correlations: `0.5 points`, or `1.0 points (2 % of
                0.5000)`.
        """
        part = f" ({100 * self.asked_loss:.4g} % of {self.baseline:.4f})" if self.kind == "relative" else ""
        if points and in_points(self.metric_name):
            return f"{_format(100 * self.allowed_loss, 1)} points{part}"
        return f"{_format(self.allowed_loss, 3 if points else 4)}{part}"

    def describe(self, score: float, difference: Difference | None = None) -> str:
        """Compares a score with the baseline: `accuracy 0.85 against 0.90, a loss of 0.05 where 0.01 is allowed`.

        If the paired difference is given, its interval follows. If the interval is judged and is too wide to decide,
        the number of rows that deciding takes follows.
        """
        compared = f"{self.metric_name} {score:.4f} against {self.baseline:.4f}"
        if difference and math.isnan(difference.value):
            difference = None
        if self.gate_on == "interval" and difference:
            allowed = f"{self.allowance(points=True)} {'are' if in_points(self.metric_name) else 'is'} allowed"
            between = describe_interval(difference, self.metric_name)
            return f"{compared}, {between} where {allowed}{self._rows_that_decide(difference)}"
        lost = self.baseline - score
        change = f"a gain of {-lost:.4f}" if lost < 0 else f"a loss of {lost:.4f}"
        if not self.passes(score, difference) and f"{lost:.4f}" == f"{self.allowed_loss:.4f}":
            change = f"a loss of {lost:.6g}"  # With four digits it would look like a tie.
        allowed = f"a loss of {self.allowance()}" if lost < 0 else self.allowance()
        interval = f", 95 % interval {describe_interval(difference, self.metric_name)}" if difference else ""
        return f"{compared}, {change} where {allowed} is allowed{interval}"

    def _rows_that_decide(self, difference: Difference) -> str:
        rows = self.rows_to_decide(difference)
        if rows is None:
            return ""
        needed = f"about {_round_up(rows):,}" if rows <= _MANY_ROWS else "more than a million"
        return f"; {needed} rows decide 8 times in 10"


class HeldOutScores(BaseModel):
    """Scores of two models on the test split, which no choice is made on.

    Attributes:
        rows: Rows of the split.
        measured: Score of the new model.
        baseline: Score of the reference.
    """

    rows: int
    measured: Score
    baseline: Score

    def describe(self) -> str:
        """Formats the scores: `on the 1,821 test rows 0.9100 against 0.9150`."""
        return f"on the {self.rows:,} test rows {self.measured:.4f} against {self.baseline:.4f}"


class CriterionResult(Criterion):
    """A criterion and the score of a quantized model, as the model's summary holds them.

    Attributes:
        measured: Score of the quantized model on validation.
        runtime: Runtime that it was measured in.
        runtime_reason: Why this runtime was chosen.
        difference: Paired difference to the reference on validation; None in summaries of older versions.
        test: Scores of both models on the test split; None without one.
    """

    measured: Score
    runtime: str
    runtime_reason: str
    difference: Difference | None = None
    test: HeldOutScores | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether the score is good enough."""
        return self.passes(self.measured, self.difference)

    def describe_result(self) -> str:
        """Compares the measured score with the baseline, see `describe`."""
        return self.describe(self.measured, self.difference)

    def describe_rows(self) -> str:
        """Returns the scores on test rows, which no choice was made on, or else a note that there are none."""
        return self.test.describe() if self.test else CHOSEN_ON_THESE_ROWS

    @classmethod
    def from_summary(cls, summary: Summary) -> Self | None:
        """Reads the result from a summary; None if it has no criterion.

        Raises:
            UserError: Another version wrote it.
        """
        fact = summary.facts.get(FACT)
        if fact is None:
            return None
        try:
            return cls.model_validate(fact)
        except ValidationError as error:
            raise UserError(
                "this version cannot read the accuracy criterion of this model, written by compaware "
                f"{summary.version}: quantize the model again"
            ) from error


def sort_key(score: float) -> float:
    """Returns a key that sorts NaN below all scores."""
    return -math.inf if math.isnan(score) else score


def _format(value: float, digits: int) -> str:
    """Formats a number with `digits` decimals, or with more if rounding would change it."""
    return f"{value:.{digits}f}" if round(value, digits) == round(value, digits + 6) else f"{value:.4g}"


def _round_up(rows: float) -> int:
    """Rounds up to two significant digits."""
    step = 10 ** max(0, math.floor(math.log10(rows)) - 1)
    return math.ceil(rows / step) * step
