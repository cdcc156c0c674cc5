"""What a classifier gets right and wrong, as the KFP UI shows it: confusion matrix, and ROC curve of two classes."""

from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, roc_curve

from compaware.components.core.data.dataset import Manifest

_MOST_POINTS = 200


def classification_facts(manifest: Manifest, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Facts of a summary for `log_classification`; None where the data has no classes, or not two for the curve.

    Args:
        manifest: Of the data.
        logits: (rows, classes) of a split.
        labels: (rows,) class indices.

    Returns:
        `confusion_matrix` (rows are true labels, columns predicted ones) and `roc` (of the second class).
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
    kept = np.unique(np.linspace(0, len(thresholds) - 1, _MOST_POINTS).round().astype(int))
    return {
        "fpr": false_positives[kept].tolist(),
        "tpr": true_positives[kept].tolist(),
        # The first is infinite, which JSON cannot say: nothing is called positive there.
        "thresholds": np.minimum(thresholds[kept], 1.0).tolist(),
    }
