"""Calibration of each model, before and after the temperature in its config.json."""

import numpy as np
from scipy.stats import ttest_1samp

from compaware.components.benchmark.quality.probabilities import probabilities
from compaware.components.benchmark.quality.results import Calibration, CalibrationErrors
from compaware.components.core.evaluation.calibration import calibration_errors, reliability, row_nll
from compaware.components.core.evaluation.intervals import Interval


def calibration(
    logits: np.ndarray, labels: np.ndarray, temperature: float | None = None, reference: np.ndarray | None = None
) -> Calibration:
    """Returns the calibration of a classifier.

    Args:
        logits: (rows, labels).
        labels: (rows,) class indices, or (rows, labels) of 0 and 1 for multi-label data.
        temperature: What the model's config.json says that the logits are divided by; None if it says nothing.
        reference: Logits of the dense FP32 model, to compare the likelihood with; None for no comparison.
    """
    multi_label = labels.ndim == 2
    confident = probabilities(logits, multi_label=multi_label).max(axis=1)
    return Calibration(
        errors=_errors(logits, labels),
        confidence=None if multi_label else float(confident.mean()),
        accuracy=None if multi_label else float((logits.argmax(axis=1) == labels).mean()),
        temperature=temperature,
        errors_at_temperature=None if temperature is None else _errors(logits / temperature, labels),
        reliability=reliability(logits / (temperature or 1.0), labels) if np.isfinite(logits).all() else [],
        nll_change=None if reference is None else mean_interval(row_nll(logits, labels) - row_nll(reference, labels)),
    )


def mean_interval(values: np.ndarray) -> Interval:
    """Returns the mean with its 95 % interval by Student's t, for figures that are means over rows."""
    if len(values) < 2 or np.ptp(values) == 0:
        mean = float(values.mean())
        return Interval(value=mean, low=mean, high=mean)
    result = ttest_1samp(values, 0.0)
    low, high = result.confidence_interval(0.95)
    return Interval(value=float(values.mean()), low=float(low), high=float(high))


def _errors(logits: np.ndarray, labels: np.ndarray) -> CalibrationErrors:
    return CalibrationErrors(**calibration_errors(logits, labels))
