"""Reads a quantized model's accuracy criterion and lets the pipeline pass, or not."""

import logging

from compaware.components.accuracy_gate.config import AccuracyGateConfig
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.evaluation.criterion import FACT, CriterionResult
from compaware.components.core.stage.workspace import Workspace

log = logging.getLogger(__name__)


def run(config: AccuracyGateConfig, workspace: Workspace) -> Summary:
    """Asks the criterion in the quantized model's summary.

    Raises:
        UserError: It was missed and `on_failure` is `fail`, or the folder holds no criterion.
    """
    criterion = CriterionResult.from_summary(Summary.load(config.quantized))
    if criterion is None:
        raise UserError(f"{config.quantized} has no accuracy criterion: give a model that was quantized")
    words = describe(criterion)
    if criterion.passed:
        log.info(words)
    elif config.on_failure == "fail":
        raise UserError(f"{words}; train longer, allow a larger loss, or set on_failure=warn to go on all the same")
    else:
        log.warning(words)
    metrics = {"passed": float(criterion.passed), "loss": criterion.baseline - criterion.measured}
    facts = {FACT: criterion.model_dump(mode="json"), "words": words}
    return Summary.create("accuracy_gate", config, metrics, facts)


def describe(criterion: CriterionResult) -> str:
    """The criterion in one line: what was measured, against what, and what was allowed."""
    verb = "keeps" if criterion.passed else "misses"
    compared = criterion.describe(criterion.measured)
    return f"the quantized model {verb} its accuracy criterion against the FP32 model: {compared}"
