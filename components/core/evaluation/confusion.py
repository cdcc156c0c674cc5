"""Confusion matrix, and ROC curve for two classes, in the form that the KFP UI shows."""

from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, roc_curve

from compaware.components.core.data.dataset import Manifest

_MAX_POINTS = 200


def classification_facts(manifest: Manifest, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Returns facts of a summary for `log_classification`.

    Args:
        manifest: Manifest of the data.
        logits: (rows, classes) of a split.
        labels: (rows,) class indices.

    Returns:
        `confusion_matrix` (rows are true labels, columns predicted ones; None unless each row has one class) and `roc`
        (of the second class; None unless there are two classes).
    """
    names = manifest.label_names
    if manifest.problem_type != "classification":
        return {"confusion_matrix": None, "roc": None}
    matrix = confusion_matrix(labels, logits.argmax(axis=-1), labels=range(len(names)))
    return {
        "confusion_matrix": {"labels": names, "matrix": matrix.tolist()},
        "roc": _roc(logits, labels) if len(names) == 2 and len(set(labels.tolist())) == 2 else None,
    }


def _roc(logits: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    false_positives, true_positives, thresholds = roc_curve(labels, softmax(logits, axis=-1)[:, 1])
    kept = np.unique(np.linspace(0, len(thresholds) - 1, _MAX_POINTS).round().astype(int))
    return {
        "fpr": false_positives[kept].tolist(),
        "tpr": true_positives[kept].tolist(),
        # The first threshold is infinite, which JSON does not have; 1.0 has the same meaning.
        "thresholds": np.minimum(thresholds[kept], 1.0).tolist(),
    }
