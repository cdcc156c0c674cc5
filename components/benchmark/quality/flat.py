"""Flat figures of the predictions, for the metrics of a run."""

from compaware.components.benchmark.quality.results import Quality
from compaware.components.core.data.dataset import UNLABELLED


def quality_metrics(quality: Quality | None) -> dict[str, float]:
    """Returns the calibration error of each model, and the agreement of the best INT8 form with the FP32 model."""
    if quality is None:
        return {}
    metrics = {f"{name}_ece": item.errors.ece for name, item in quality.calibration.items()}
    for drift in quality.drift:
        if drift.agreement is not None:
            rows = "unlabelled_" if drift.split == UNLABELLED else ""
            metrics[f"best_int8_{rows}fp32_agreement"] = drift.agreement
    return metrics
