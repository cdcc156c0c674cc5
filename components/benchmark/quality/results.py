"""The part `quality` of `benchmark.json`."""

from pydantic import BaseModel, Field

from compaware.components.core.base.summary import Score
from compaware.components.core.evaluation.intervals import Difference, Interval


class ClassScore(BaseModel):
    """Scores of one model for one class, or for one label of multi-label data.

    Attributes:
        precision: Of the rows that the model assigns to the class, the fraction that belongs to it; 0 without any.
        recall: Of the rows of the class, the fraction that the model finds, with its interval; None without rows.
        f1: Harmonic mean of the two; 0 if both are.
        recall_change: Difference of recall from the dense FP32 model; None for that model itself, or without one.
    """

    precision: Score
    recall: Interval | None
    f1: Score
    recall_change: Difference | None = None


class CalibrationErrors(BaseModel):
    """Errors of a model's probabilities, see `core.evaluation.calibration.calibration_errors`."""

    ece: Score
    brier: Score
    nll: Score


class Calibration(BaseModel):
    """Calibration of one model.

    Attributes:
        errors: Errors of the probabilities.
        confidence: Mean probability of the decisions; None for multi-label data.
        accuracy: Fraction of right decisions; None for multi-label data.
        temperature: The temperature in the model's config.json, which the logits are divided by; None if it has none.
        errors_at_temperature: The errors after that; None without a temperature.
        reliability: Mean probability, frequency and number of rows of each bin of the ECE, after the temperature if
            there is one; see `core.evaluation.calibration.reliability`.
        nll_change: Difference of the mean negative log-likelihood from the dense FP32 model, without temperature; None
            for that model itself, or without one.
    """

    errors: CalibrationErrors
    confidence: Score | None = None
    accuracy: Score | None = None
    temperature: float | None = None
    errors_at_temperature: CalibrationErrors | None = None
    reliability: list[tuple[float, float, int]] = []
    nll_change: Interval | None = None


class Slice(BaseModel):
    """Rows that have something in common.

    Attributes:
        column: What they have in common: `length`, or the name of a column.
        value: Its value.
        rows: Number of rows.
        score: The metric of the model to serve, or for regression its mean absolute error.
        reference: The same of the dense FP32 model; None without one.
        difference: Difference from the dense FP32 model; None without one.
        p_value: Of the test that both models decide equally many rows right (McNemar, exact), or for regression that
            their mean errors are equal (Student's t, paired); None without a dense FP32 model.
    """

    column: str
    value: str
    rows: int
    score: Interval
    reference: Score | None = None
    difference: Difference | None = None
    p_value: Score | None = None


class Disagreement(BaseModel):
    """A row on which the INT8 model and the dense FP32 model decide differently, or differ in value.

    Attributes:
        row: Number of the row in the split, from 0.
        text: The text, shortened. It is for the report and not in `benchmark.json`.
        label: The right class, label or value.
        int8: What the INT8 model decides.
        int8_score: Its probability for that; for regression the value.
        fp32: What the dense FP32 model decides.
        fp32_score: As `int8_score`.
        difference: Largest absolute difference of a probability, or difference of the value.
    """

    row: int
    text: str = Field(default="", exclude=True)
    label: str
    int8: str
    int8_score: Score
    fp32: str
    fp32_score: Score
    difference: Score


class Drift(BaseModel):
    """How far the INT8 model's scores are from the dense FP32 model's.

    Attributes:
        split: The split.
        rows: Number of its rows.
        agreement: Fraction of equal decisions; None for regression.
        mean_difference: Mean over the rows of the largest absolute difference of a probability, or of the value.
        max_difference: The maximum of the same.
        shares: By class, the fraction of rows that the dense FP32 model and the INT8 model assign to it; empty for
            regression.
    """

    split: str
    rows: int
    agreement: Score | None
    mean_difference: Score
    max_difference: Score
    shares: dict[str, tuple[float, float]]


class Quality(BaseModel):
    """Figures of the predictions, of one form of each model: the recommended one, or else its fastest.

    Attributes:
        split: The split of all figures but the drift: `test` if there is one.
        rows: Number of its rows.
        forms: Id of each model's form, by name of the model.
        served: Id of the model to serve.
        reference: Id of the dense FP32 model that others are compared with; None without one.
        int8: Id of the INT8 model that disagreements and drift are of; None without one.
        class_rows: Rows by class; empty for regression.
        classes: By model and class, its scores; empty for regression.
        calibration: By model; empty for regression.
        slices: Slices by length and by the data's slice columns.
        disagreements: The rows with the largest differences.
        drift: Of the split, and of `unlabelled` where the data has it.
    """

    split: str
    rows: int
    forms: dict[str, str]
    served: str
    reference: str | None = None
    int8: str | None = None
    class_rows: dict[str, int] = {}
    classes: dict[str, dict[str, ClassScore]] = {}
    calibration: dict[str, Calibration] = {}
    slices: list[Slice] = []
    disagreements: list[Disagreement] = []
    drift: list[Drift] = []
