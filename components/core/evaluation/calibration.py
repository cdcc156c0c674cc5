"""Calibration of a classifier's probabilities: its errors, and a temperature that reduces them.

SciPy is imported in the functions, since the import would delay the start of training.
"""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from compaware.components.core.base.distributed import call_on_main
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import write_text
from compaware.components.core.base.summary import Score
from compaware.components.core.data.dataset import Manifest, PreparedDataset
from compaware.components.core.evaluation.evaluate import Evaluation
from compaware.components.core.models.config import TEMPERATURE_KEY

log = logging.getLogger(__name__)

_BINS = 15
_NO_CLASSES = "the labels are numbers, and only a classifier has probabilities: set calibrate=false"
# Keeps the temperature finite if all rows are right, or if the logits are noise.
_TEMPERATURES = (0.05, 20.0)


class Calibration(BaseModel):
    """A temperature, and the errors of the probabilities on validation; see `calibration_errors`.

    Attributes:
        temperature: The logits are divided by it.
        before: Errors without it.
        after: Errors with it, on the rows that it was fitted on. (One number cannot fit their noise.)
    """

    temperature: float
    before: dict[str, Score]
    after: dict[str, Score]

    @classmethod
    def fit(cls, logits: np.ndarray, labels: np.ndarray) -> "Calibration":
        """Fits a temperature to logits of the validation split; see `fit_temperature`."""
        temperature = fit_temperature(logits, labels)
        after = calibration_errors(logits / temperature, labels)
        calibration = cls(temperature=temperature, before=calibration_errors(logits, labels), after=after)
        log.info(
            "temperature %.3f: on validation, the negative log-likelihood falls from %.4f to %.4f",
            *(temperature, calibration.before["nll"], after["nll"]),
        )
        return calibration


def require_classes(calibrate: bool, manifest: Manifest) -> None:
    """Checks that the data has classes if `calibrate` is set.

    Raises:
        UserError: The labels are numbers.
    """
    if calibrate and manifest.problem_type == "regression":
        raise UserError(_NO_CLASSES)


def calibration_errors(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns three errors of the probabilities; lower is better. All are NaN if a logit is NaN or infinite.

    - `ece`: expected calibration error (Guo et al., 2017), with 15 bins of equal width: of the probability of the
      predicted class, or for multi-label data of each label's probability.
    - `brier`: Brier score: the squared distance between probabilities and labels, summed over the classes (0 to 2), or
      for multi-label data averaged over the labels (0 to 1).
    - `nll`: negative log-likelihood in nats, for multi-label data averaged over the labels.

    Args:
        logits: (rows, labels).
        labels: (rows,) class indices, or (rows, labels) of 0 and 1 for multi-label data.

    Raises:
        UserError: The labels are numbers.
    """
    if labels.dtype.kind == "f":
        raise UserError(_NO_CLASSES)
    if not np.isfinite(logits).all():
        return dict.fromkeys(("ece", "brier", "nll"), float("nan"))
    probabilities = np.exp(_log_probabilities(logits.astype(np.float64), labels))
    if labels.ndim == 2:
        brier = ((probabilities - labels) ** 2).mean()
    else:
        brier = ((probabilities - np.eye(logits.shape[1])[labels]) ** 2).sum(axis=1).mean()
    bins = _bins(probabilities, labels)
    rows = sum(count for *_, count in bins)
    ece = sum(abs(mean - frequency) * count for mean, frequency, count in bins) / rows
    return {"ece": ece, "brier": float(brier), "nll": _nll(logits, labels)}


def reliability(logits: np.ndarray, labels: np.ndarray) -> list[tuple[float, float, int]]:
    """Returns the bins of `ece` that hold a probability: mean probability, frequency, number of probabilities.

    Args:
        logits: (rows, labels), finite.
        labels: (rows,) class indices, or (rows, labels) of 0 and 1 for multi-label data.
    """
    return _bins(np.exp(_log_probabilities(logits.astype(np.float64), labels)), labels)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature T that minimizes the negative log-likelihood of logits / T (Guo et al., 2017).

    Args:
        logits: (rows, labels) of the validation split.
        labels: (rows,) class indices, or (rows, labels) of 0 and 1 for multi-label data.

    Raises:
        UserError: The labels are numbers, or a logit is NaN or infinite.
    """
    from scipy.optimize import minimize_scalar

    if labels.dtype.kind == "f":
        raise UserError(_NO_CLASSES)
    if not np.isfinite(logits).all():
        raise UserError(
            "no temperature fits logits that are NaN or infinite: train again with a lower learning_rate, or set "
            "calibrate=false"
        )
    # The likelihood has one optimum: it is convex in 1 / T.
    found = minimize_scalar(
        lambda log_t: _nll(logits / np.exp(log_t), labels), bounds=np.log(_TEMPERATURES), method="bounded"
    )
    return float(np.exp(found.x))


def calibrate_model(folder: Path, evaluation: Evaluation, dataset: PreparedDataset) -> dict[str, Any]:
    """Fits a temperature to a saved model's logits and adds it to its config.json, on rank 0 alone.

    Args:
        folder: The model's folder.
        evaluation: Its evaluation on validation.
        dataset: The data.

    Returns:
        The fact `calibration` of a summary.
    """

    def fit_and_save() -> dict[str, Any]:
        calibration = Calibration.fit(evaluation.logits, dataset.labels("validation"))
        save_temperature(folder, calibration.temperature)
        return calibration.model_dump()

    return {"calibration": call_on_main(fit_and_save)}


def save_temperature(folder: Path, temperature: float) -> None:
    """Adds a temperature to a model's config.json."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    write_text(file, json.dumps(config | {TEMPERATURE_KEY: temperature}, indent=2, sort_keys=True) + "\n")


def read_temperature(folder: Path) -> float | None:
    """Returns the temperature in a model's config.json; None if it has none."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8")).get(TEMPERATURE_KEY)


def row_nll(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the negative log-likelihood of each row in nats, for multi-label data averaged over the labels."""
    logits = logits.astype(np.float64)
    if labels.ndim == 2:
        # log_expit(-x) is the logarithm of 1 - sigmoid(x), also where sigmoid(x) rounds to 1.
        return -_log_probabilities(np.where(labels, logits, -logits), labels).mean(axis=1)
    return -_log_probabilities(logits, labels)[np.arange(len(labels)), labels]


def _log_probabilities(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the logarithm of the softmax, or for multi-label data of the sigmoid."""
    from scipy.special import log_expit, log_softmax

    return log_expit(logits) if labels.ndim == 2 else log_softmax(logits, axis=1)


def _bins(probabilities: np.ndarray, labels: np.ndarray) -> list[tuple[float, float, int]]:
    if labels.ndim == 2:
        values, outcomes = probabilities.ravel(), labels.ravel()
    else:
        values, outcomes = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    numbers = np.clip(np.ceil(values * _BINS).astype(int) - 1, 0, _BINS - 1)
    counts, means, frequencies = (np.bincount(numbers, each, _BINS) for each in (None, values, outcomes))
    return [
        (float(means[index] / counts[index]), float(frequencies[index] / counts[index]), int(counts[index]))
        for index in np.flatnonzero(counts)
    ]


def _nll(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(row_nll(logits, labels).mean())
