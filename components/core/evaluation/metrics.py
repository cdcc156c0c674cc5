"""Metrics of text classification and regression from logits; their names are the same in every report.

scikit-learn and SciPy are imported in the functions, since the import would delay the start of training by a second.
"""

import math

import numpy as np

from compaware.components.core.base.errors import UserError

_RANDOM_ORDERS = 50
_LARGE_SPLIT_ROWS = 2000
_LABELS = {
    "accuracy": "accuracy",
    "f1": "F1",
    "f1_micro": "micro F1",
    "f1_macro": "macro F1",
    "matthews_correlation": "Matthews correlation",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
}
METRIC_NAMES = tuple(_LABELS)
REGRESSION_METRICS = ("pearson", "spearman")
# Metrics from -1 to 1; without any relation they are 0.
CORRELATIONS = (*REGRESSION_METRICS, "matthews_correlation")


def suitable_metrics(problem_type: str, num_labels: int) -> tuple[str, ...]:
    """Returns the metrics that can judge labels of this kind, the usual one first."""
    if problem_type == "regression":
        return REGRESSION_METRICS
    if problem_type == "multi_label_classification":
        return "f1_micro", "f1_macro"
    return ("accuracy", *(("f1",) if num_labels == 2 else ()), "f1_macro", "matthews_correlation")


def metric_label(metric: str) -> str:
    """Returns a metric's name as reports show it, such as `macro F1`."""
    return _LABELS.get(metric, metric)


def in_points(metric: str) -> bool:
    """Returns whether differences of a metric are given in points (hundredths); a correlation is no percentage."""
    return metric not in CORRELATIONS


def compute_metrics(metric: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Computes the primary metric and the metrics that are reported with it.

    Args:
        metric: Name of the primary metric; one of `METRIC_NAMES`.
        logits: (rows, labels) for classification, (rows, 1) for regression.
        labels: (rows,) class indices or targets, or (rows, labels) of 0 and 1 for multi-label data.

    Returns:
        Metric name to value, the primary metric first. Undefined metrics are NaN, see `why_undefined`. If any logit is
        NaN or infinite, all metrics are NaN, since the model is broken.
    """
    if not np.isfinite(logits).all():
        return dict.fromkeys(compute_metrics(metric, np.zeros_like(logits), labels), math.nan)
    if metric in REGRESSION_METRICS:
        metrics = _regression(logits.reshape(len(labels)), labels)
    elif labels.ndim == 2:
        metrics = _multi_label(logits > 0, labels)
    else:
        metrics = _classification(logits.argmax(axis=-1), labels, classes=logits.shape[-1], metric=metric)
    score = math.nan if _undefined_for(metric, labels) else metrics.pop(metric)
    return {metric: score, **{name: value for name, value in metrics.items() if name != metric}}


def why_undefined(metric: str, labels: np.ndarray, logits: np.ndarray | None = None) -> str:
    """Returns why a metric is NaN, as part of a sentence; empty if it is a number.

    A correlation with a constant is undefined, as in SciPy. So are F1 and the Matthews correlation if the labels cannot
    tell good predictions from bad ones; scikit-learn gives 0 and a warning, but with 0 for every model, each would seem
    to keep the score of any other. All else is as in scikit-learn: without a positive prediction, F1 is 0; if all
    predictions are of one class, the Matthews correlation is 0; macro F1 is the mean over the classes that occur.

    Args:
        metric: Name of the metric.
        labels: As `compute_metrics` takes them.
        logits: Likewise; None to consider the labels alone.
    """
    if reason := _undefined_for(metric, labels):
        return reason
    if logits is not None and not np.isfinite(logits).all():
        return "the model has NaN or infinite logits"
    if logits is not None and math.isnan(compute_metrics(metric, logits, labels)[metric]):
        return "the model predicts the same number for every row"
    return ""


def require_defined(metric: str, labels: np.ndarray) -> None:
    """Checks that validation labels can choose by a metric.

    Raises:
        UserError: The metric is undefined for these labels.
    """
    if reason := _undefined_for(metric, labels):
        raise UserError(
            f"{metric_label(metric)} is undefined on validation, since {reason}: add rows with other labels, or choose "
            "another metric"
        )


def _undefined_for(metric: str, labels: np.ndarray) -> str:
    if metric in CORRELATIONS and (labels == labels[0]).all():
        return "all rows have the same label"
    if (metric == "f1" or labels.ndim == 2) and not labels.any():
        return "no row is positive"
    return ""


def majority_baseline(metric: str, labels: np.ndarray, num_labels: int) -> float:
    """Returns the primary metric of the best predictions that do not depend on the row.

    For most metrics these are the same for all rows: the most frequent class, or for F1 the positive class if it scores
    more; for multi-label data the k most frequent labels with the best k, or the most frequent set of labels. Macro F1
    of k classes is 1/k at best, for random predictions with the frequencies of the classes.
    """
    if metric in CORRELATIONS:
        return 0.0
    if labels.ndim == 2:
        ranks = (-labels.sum(axis=0)).argsort().argsort()
        candidates = [np.where(ranks < count, 1.0, -1.0) for count in range(num_labels + 1)]
        sets, counts = np.unique(labels, axis=0, return_counts=True)
        candidates.append(np.where(sets[counts.argmax()] > 0, 1.0, -1.0))
    else:
        counts = np.bincount(labels.astype(int), minlength=num_labels)
        if metric == "f1_macro":
            return 1 / np.count_nonzero(counts)
        classes = [int(counts.argmax())] + ([1] if metric == "f1" else [])
        candidates = [np.eye(num_labels)[index] for index in classes]
    return max(compute_metrics(metric, np.tile(logits, (len(labels), 1)), labels)[metric] for logits in candidates)


def perfect_score(metric: str, labels: np.ndarray, num_labels: int) -> float:
    """Returns the primary metric of predictions without an error.

    It is 1, except macro F1 of multi-label data if no row has one of the labels; NaN if the metric is undefined.
    """
    if labels.ndim == 2:
        logits = labels - 0.5
    else:
        logits = labels[:, None] if labels.dtype == np.float64 else np.eye(num_labels)[labels]
    return compute_metrics(metric, logits, labels)[metric]


def chance_score(metric: str, logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the primary metric that the same predictions in random order hardly exceed.

    In a split with few rows, or few rows of a class, random predictions can score far above their mean. The score is
    two standard deviations above the mean of some random orders. In a split of `_LARGE_SPLIT_ROWS` rows or more, chance
    is too small to matter, and the score is minus infinity.
    """
    if len(labels) >= _LARGE_SPLIT_ROWS or not np.isfinite(logits).all():
        return -math.inf
    generator = np.random.default_rng(0)
    scores = [compute_metrics(metric, generator.permutation(logits), labels)[metric] for _ in range(_RANDOM_ORDERS)]
    return float(np.mean(scores) + 2 * np.std(scores))


def f1_by_label(logits: np.ndarray, labels: np.ndarray) -> list[float]:
    """Returns F1 of each label, 0 for a label without rows; logits and labels are (rows, labels)."""
    from sklearn.metrics import f1_score

    return f1_score(labels, logits > 0, average=None, zero_division=0.0).tolist()


def decisions(logits: np.ndarray, *, multi_label: bool) -> np.ndarray:
    """Converts logits, (rows, labels), to classes, (rows,), or for multi-label data to yes or no, (rows, labels)."""
    return logits > 0 if multi_label else logits.argmax(axis=-1)


def _multi_label(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score

    return {
        "f1_micro": float(f1_score(labels, predicted, average="micro", zero_division=0.0)),
        "f1_macro": float(f1_score(labels, predicted, average="macro", zero_division=0.0)),
        "subset_accuracy": float(accuracy_score(labels, predicted)),
    }


def _classification(predicted: np.ndarray, labels: np.ndarray, classes: int, metric: str) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    metrics = {"accuracy": float(accuracy_score(labels, predicted))}
    if metric == "f1":
        metrics["f1"] = float(f1_score(labels, predicted, zero_division=0.0))
    if metric == "f1_macro" or classes > 2:
        metrics["f1_macro"] = float(f1_score(labels, predicted, average="macro", zero_division=0.0))
    if metric == "matthews_correlation":
        metrics["matthews_correlation"] = float(matthews_corrcoef(labels, predicted))
    return metrics


def _regression(predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    # Correlations do not depend on the scale.
    rmse = float(np.sqrt(np.mean((predicted.astype(np.float64) - labels) ** 2)))
    if np.ptp(predicted) == 0 or np.ptp(labels) == 0:
        return {"pearson": math.nan, "spearman": math.nan, "rmse": rmse}
    from scipy.stats import pearsonr, spearmanr

    correlations = {
        "pearson": pearsonr(predicted, labels).statistic,
        "spearman": spearmanr(predicted, labels).statistic,
    }
    return {**{name: float(value) for name, value in correlations.items()}, "rmse": rmse}
