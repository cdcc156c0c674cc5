"""Probabilities from logits, and inputs from which intervals of shares are computed."""

import numpy as np
from scipy.special import expit, softmax


def probabilities(logits: np.ndarray, *, multi_label: bool) -> np.ndarray:
    """Returns the probability of each class, or for multi-label data of each label: (rows, labels)."""
    logits = logits.astype(np.float64)
    return expit(logits) if multi_label else softmax(logits, axis=1)


def share_interval_inputs(right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits and labels whose accuracy is the fraction of true values, for `core.evaluation.intervals`."""
    return np.eye(2)[right.astype(int)], np.ones(len(right), int)
