"""Work of accuracy_gate: checks the accuracy criterion of a quantized model."""

import logging

from compaware.components.accuracy_gate.config import AccuracyGateConfig
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.evaluation.criterion import FACT, CriterionResult
from compaware.components.core.stage.workspace import Workspace

log = logging.getLogger(__name__)


def run(config: AccuracyGateConfig, workspace: Workspace) -> Summary:
    """Checks the criterion in the quantized model's summary.

    Raises:
        UserError: The model misses it and `on_failure` is `fail`, or the summary has no criterion.
    """
    criterion = CriterionResult.from_summary(Summary.load(config.quantized))
    if criterion is None:
        raise UserError(f"{config.quantized} has no accuracy criterion: give a quantized model")
    message = describe(criterion)
    if criterion.passed:
        log.info(message)
    elif config.on_failure == "fail":
        raise UserError(f"{message}; train longer, allow more, or set on_failure=warn")
    else:
        log.warning(message)
    metrics = {"passed": float(criterion.passed), "loss": criterion.baseline - criterion.measured}
    if criterion.difference:
        metrics |= {"loss_low": -criterion.difference.high, "loss_high": -criterion.difference.low}
    if criterion.test:
        metrics["test_loss"] = criterion.test.baseline - criterion.test.measured
    facts = {FACT: criterion.model_dump(mode="json"), "words": message}
    return Summary.create("accuracy_gate", config, metrics, facts)


def describe(criterion: CriterionResult) -> str:
    """Returns the criterion's result in one line: both scores and the allowed loss, and the scores on test rows."""
    verb = "keeps" if criterion.passed else "misses"
    compared = criterion.describe_result()
    rows = criterion.describe_rows()
    return f"INT8 {verb} its accuracy criterion: {compared} ({rows})"
