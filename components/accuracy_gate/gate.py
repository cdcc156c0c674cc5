"""Reads a quantized model's accuracy criterion and lets the pipeline pass, or not."""

import logging
from typing import Any

from compaware.components.accuracy_gate.config import AccuracyGateConfig
from compaware.components.core.errors import UserError
from compaware.components.core.summary import Summary
from compaware.components.core.workspace import Workspace

log = logging.getLogger(__name__)


def run(config: AccuracyGateConfig, workspace: Workspace) -> Summary:
    """Judges the criterion in the quantized model's summary.

    Raises:
        UserError: It was missed and `on_failure` is `fail`, or the folder holds no criterion.
    """
    criterion = Summary.load(config.quantized).facts.get("criterion")
    if criterion is None:
        raise UserError(f"{config.quantized} has no accuracy criterion: give a model that was quantized")
    words = describe(criterion)
    if criterion["passed"]:
        log.info(words)
    elif config.on_failure == "fail":
        raise UserError(f"{words}; train longer, allow a larger loss, or set on_failure=warn to go on all the same")
    else:
        log.warning(words)
    metrics = {"passed": float(criterion["passed"]), "loss": criterion["baseline"] - criterion["measured"]}
    return Summary.create("accuracy_gate", config, metrics, {"criterion": criterion, "words": words})


def describe(criterion: dict[str, Any]) -> str:
    """The criterion in one line: what was measured, against what, and what was allowed."""
    lost = criterion["baseline"] - criterion["measured"]
    allowed = f"{criterion['allowed_loss']:.4f}"
    if criterion["kind"] == "relative":
        allowed = f"{criterion['allowed_loss']:.2%} of the FP32 model's"
    return (
        f"the quantized model {'keeps' if criterion['passed'] else 'misses'} its accuracy criterion: "
        f"{criterion['metric_name']} {criterion['measured']:.4f} against {criterion['baseline']:.4f} in FP32, "
        f"a loss of {lost:.4f} where {allowed} is allowed"
    )
