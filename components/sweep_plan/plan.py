"""The work of sweep_plan: the product of students and temperatures, written down."""

import logging

from compaware.components.core.summary import Summary
from compaware.components.core.workspace import Workspace
from compaware.components.sweep_plan.config import SweepPlanConfig

log = logging.getLogger(__name__)


def run(config: SweepPlanConfig, workspace: Workspace) -> Summary:
    """Names the students that are trained; the configuration was checked already."""
    branches = config.branches
    log.info("%d students to train: %s", len(branches), ", ".join(branch.name for branch in branches))
    # KFP cannot pass on null.
    facts = {"branches": [branch.model_dump(mode="json", exclude_none=True) for branch in branches]}
    return Summary.create("sweep_plan", config, {"branches": len(branches)}, facts)
