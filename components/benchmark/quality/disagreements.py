"""Rows on which the INT8 model and the dense FP32 model disagree, and how far their scores drift apart."""

from collections.abc import Sequence

import numpy as np

from compaware.components.benchmark.quality.probabilities import probabilities
from compaware.components.benchmark.quality.results import Disagreement, Drift
from compaware.components.core.evaluation.metrics import decisions

_MOST_ROWS = 20


def disagreements(int8: np.ndarray, fp32: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> list[Disagreement]:
    """Returns at most 20 rows with different decisions, or for regression any rows: those with the largest difference.

    Args:
        int8: Logits of the INT8 model.
        fp32: Logits of the dense FP32 model, for the same rows.
        labels: Labels as `metrics.compute_metrics` takes them.
        names: Names of the classes or labels; empty for regression.
    """
    if not names:
        return _of_values(int8.reshape(len(labels)), fp32.reshape(len(labels)), labels)
    return (_of_labels if labels.ndim == 2 else _of_classes)(int8, fp32, labels, names)


def drift(split: str, int8: np.ndarray, fp32: np.ndarray, names: Sequence[str], *, multi_label: bool) -> Drift:
    """Compares the scores of the INT8 model with those of the dense FP32 model.

    Args:
        split: Name of the split.
        int8: Logits of the INT8 model.
        fp32: Logits of the dense FP32 model, for the same rows.
        names: Names of the classes or labels; empty for regression.
        multi_label: Whether a row can have several labels.
    """
    if names:
        pair = [probabilities(logits, multi_label=multi_label) for logits in (int8, fp32)]
        decided = [decisions(logits, multi_label=multi_label) for logits in (int8, fp32)]
    else:
        pair = [logits.astype(np.float64) for logits in (int8, fp32)]
    distances = np.abs(pair[0] - pair[1]).max(axis=1)
    return Drift(
        split=split,
        rows=len(int8),
        agreement=float((decided[0] == decided[1]).mean()) if names else None,
        mean_difference=float(distances.mean()),
        max_difference=float(distances.max()),
        shares=_shares(decided[1], decided[0], names, multi_label) if names else {},
    )


def _shares(
    fp32: np.ndarray, int8: np.ndarray, names: Sequence[str], multi_label: bool
) -> dict[str, tuple[float, float]]:
    both = [decided if multi_label else decided[:, None] == np.arange(len(names)) for decided in (fp32, int8)]
    return {name: (float(both[0][:, i].mean()), float(both[1][:, i].mean())) for i, name in enumerate(names)}


def _of_classes(int8: np.ndarray, fp32: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> list[Disagreement]:
    left, right = (probabilities(logits, multi_label=False) for logits in (int8, fp32))
    own, other = left.argmax(axis=1), right.argmax(axis=1)
    distances = np.abs(left - right).max(axis=1)
    return [
        Disagreement(
            row=row,
            label=names[labels[row]],
            int8=names[own[row]],
            int8_score=left[row, own[row]],
            fp32=names[other[row]],
            fp32_score=right[row, other[row]],
            difference=distances[row],
        )
        for row in _largest(distances, own != other)
    ]


def _of_labels(int8: np.ndarray, fp32: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> list[Disagreement]:
    """Returns for multi-label data one entry for each label of a row that is decided differently."""
    left, right = (probabilities(logits, multi_label=True).ravel() for logits in (int8, fp32))
    distances = np.abs(left - right)
    differs = ((int8 > 0) != (fp32 > 0)).ravel()
    found = []
    for index in _largest(distances, differs):
        row, label = divmod(index, len(names))
        yes_or_no = {True: names[label], False: f"not {names[label]}"}
        found.append(
            Disagreement(
                row=row,
                label=yes_or_no[bool(labels[row, label])],
                int8=yes_or_no[bool(int8[row, label] > 0)],
                int8_score=max(left[index], 1 - left[index]),  # Of the decision, which is the likelier one.
                fp32=yes_or_no[bool(fp32[row, label] > 0)],
                fp32_score=max(right[index], 1 - right[index]),
                difference=distances[index],
            )
        )
    return found


def _of_values(int8: np.ndarray, fp32: np.ndarray, labels: np.ndarray) -> list[Disagreement]:
    distances = np.abs(int8 - fp32)
    return [
        Disagreement(
            row=row,
            label=f"{labels[row]:.4g}",
            int8=f"{int8[row]:.4g}",
            int8_score=int8[row],
            fp32=f"{fp32[row]:.4g}",
            fp32_score=fp32[row],
            difference=distances[row],
        )
        for row in _largest(distances, np.full(len(labels), True))
    ]


def _largest(distances: np.ndarray, chosen: np.ndarray) -> list[int]:
    """Returns the positions of the largest distances among the chosen ones, the largest first."""
    positions = np.flatnonzero(chosen)
    return positions[np.argsort(-distances[positions], kind="stable")][:_MOST_ROWS].tolist()
