"""A linear model on fixed features: logistic regression for classes and labels, ridge regression for numbers."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compaware.components.core.data.dataset import Manifest
from compaware.components.core.evaluation.criterion import sort_key
from compaware.components.core.evaluation.metrics import compute_metrics

# Inverse strengths of the regularization that are tried; the best on validation is kept.
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
# Logit of a class or label that no training row has; its probability is practically 0.
_NEVER = -20.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Head:
    """A linear model.

    Attributes:
        weights: (features, labels), float32.
        intercepts: (labels,), float32.
    """

    weights: np.ndarray
    intercepts: np.ndarray

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Head":
        """Returns the head whose `arrays` were saved, maybe among others."""
        return cls(arrays["weights"], arrays["intercepts"])

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to save."""
        return {"weights": self.weights, "intercepts": self.intercepts}

    def logits(self, features: Any) -> np.ndarray:
        """Features, dense or sparse (rows, features) → logits, float32 (rows, labels), in the data's label order."""
        return np.asarray(features @ self.weights + self.intercepts, np.float32)


def choose_head(
    manifest: Manifest, features: Any, labels: np.ndarray, validation_features: Any, validation_labels: np.ndarray
) -> tuple[Head, float]:
    """Fits a head with each of `STRENGTHS` and returns the one with the best primary metric on validation.

    Returns:
        The head, and its inverse strength of regularization.
    """
    best: tuple[float, Head, float] | None = None
    for strength in STRENGTHS:
        head = fit_head(manifest, features, labels, strength)
        score = compute_metrics(manifest.metric, head.logits(validation_features), validation_labels)[manifest.metric]
        log.info("regularization C = %g: %s %.4f on validation", strength, manifest.metric, score)
        if best is None or sort_key(score) > sort_key(best[0]):
            best = score, head, strength
    assert best is not None
    return best[1], best[2]


def fit_head(manifest: Manifest, features: Any, labels: np.ndarray, strength: float) -> Head:
    """Fits a head: ridge, multinomial logistic, or for multi-label data one logistic regression for each label.

    Args:
        manifest: Says what the labels are.
        features: (rows, features), dense or sparse.
        labels: (rows,), or for multi-label data (rows, labels).
        strength: Inverse strength of the regularization; for ridge regression the inverse of alpha.

    Raises:
        ValueError: All rows have the same class.
    """
    if manifest.problem_type == "regression":
        from sklearn.linear_model import Ridge

        ridge = Ridge(alpha=1 / strength).fit(features, labels)
        return _head(ridge.coef_[None], np.array([ridge.intercept_]))
    if labels.ndim == 2:
        columns = [_fit_label(features, labels[:, label], strength) for label in range(labels.shape[1])]
        return _head(np.stack([weights for weights, _ in columns]), np.array([intercept for _, intercept in columns]))
    model = _logistic(features, labels, strength)
    weights = np.zeros((manifest.num_labels, features.shape[1]))
    intercepts = np.full(manifest.num_labels, _NEVER)
    if len(model.classes_) == 2:
        # One row of coefficients, for the log-odds of the second class.
        weights[model.classes_] = np.concatenate([-model.coef_, model.coef_]) / 2
        intercepts[model.classes_] = np.concatenate([-model.intercept_, model.intercept_]) / 2
    else:
        weights[model.classes_], intercepts[model.classes_] = model.coef_, model.intercept_
    return _head(weights, intercepts)


def _fit_label(features: Any, labels: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """Returns the weights and the intercept of the log-odds of one label; rows that all agree decide it."""
    if len(set(labels.tolist())) < 2:
        return np.zeros(features.shape[1]), -_NEVER if labels[0] else _NEVER
    model = _logistic(features, labels, strength)
    return model.coef_[0], float(model.intercept_[0])


def _logistic(features: Any, labels: np.ndarray, strength: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # A fit that is nearly converged is good enough: validation judges it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Newton's method needs the fewest passes over sparse rows: a tenth of the default solver's time on SST-2.
        return LogisticRegression(C=strength, solver="newton-cg").fit(features, labels)


def _head(weights: np.ndarray, intercepts: np.ndarray) -> Head:
    return Head(np.ascontiguousarray(weights.T, np.float32), intercepts.astype(np.float32))
