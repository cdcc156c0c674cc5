"""Calibration of a classifier's probabilities: its errors, and a temperature that reduces them.

SciPy is imported in the functions, since the import would delay the start of training.
"""

import json
from pathlib import Path

import numpy as np

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import write_text

# Of a model's config.json. (transformers moves a key named `temperature` to the generation options.)
TEMPERATURE_KEY = "calibration_temperature"
_BINS = 15
# Keeps the temperature finite if all rows are right, or if the logits are noise.
_TEMPERATURES = (0.05, 20.0)


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
    _require_classes(labels)
    if not np.isfinite(logits).all():
        return dict.fromkeys(("ece", "brier", "nll"), float("nan"))
    log_probabilities = _log_probabilities(logits.astype(np.float64), labels)
    probabilities = np.exp(log_probabilities)
    if labels.ndim == 2:
        ece = _expected_error(probabilities.ravel(), labels.ravel())
        brier = ((probabilities - labels) ** 2).mean()
    else:
        ece = _expected_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
        brier = ((probabilities - np.eye(logits.shape[1])[labels]) ** 2).sum(axis=1).mean()
    return {"ece": ece, "brier": float(brier), "nll": _nll(logits, labels)}


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature T that minimizes the negative log-likelihood of logits / T (Guo et al., 2017).

    Args:
        logits: (rows, labels) of the validation split.
        labels: (rows,) class indices, or (rows, labels) of 0 and 1 for multi-label data.

    Raises:
        UserError: The labels are numbers, or a logit is NaN or infinite.
    """
    from scipy.optimize import minimize_scalar

    _require_classes(labels)
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


def save_temperature(folder: Path, temperature: float) -> None:
    """Adds a temperature to a model's config.json."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    write_text(file, json.dumps(config | {TEMPERATURE_KEY: temperature}, indent=2, sort_keys=True) + "\n")


def read_temperature(folder: Path) -> float | None:
    """Returns the temperature in a model's config.json; None if it has none."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8")).get(TEMPERATURE_KEY)


def _require_classes(labels: np.ndarray) -> None:
    if labels.dtype.kind == "f":
        raise UserError("the labels are numbers, and only a classifier has probabilities: set calibrate=false")


def _log_probabilities(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the logarithm of the softmax, or for multi-label data of the sigmoid."""
    from scipy.special import log_expit, log_softmax

    return log_expit(logits) if labels.ndim == 2 else log_softmax(logits, axis=1)


def _nll(logits: np.ndarray, labels: np.ndarray) -> float:
    logits = logits.astype(np.float64)
    if labels.ndim == 2:
        # log_expit(-x) is the logarithm of 1 - sigmoid(x), also where sigmoid(x) rounds to 1.
        return float(-_log_probabilities(np.where(labels, logits, -logits), labels).mean())
    return float(-_log_probabilities(logits, labels)[np.arange(len(labels)), labels].mean())


def _expected_error(probabilities: np.ndarray, outcomes: np.ndarray) -> float:
    """Returns the mean distance between probability and frequency over the bins, weighted by their rows."""
    bins = np.clip(np.ceil(probabilities * _BINS).astype(int) - 1, 0, _BINS - 1)
    distances = np.bincount(bins, probabilities - outcomes, minlength=_BINS)
    return float(np.abs(distances).sum() / len(probabilities))
