"""The work of sweep_plan: the product of students and temperatures, written down."""

import json
import logging

from compaware.components.core.base.hashing import short_hash
from compaware.components.core.base.summary import Summary
from compaware.components.core.stage.workspace import Workspace
from compaware.components.launch import shared_attempts
from compaware.components.sweep_plan.attempts import read_attempt
from compaware.components.sweep_plan.config import SweepPlanConfig
from compaware.components.sweep_plan.grid import Branch

log = logging.getLogger(__name__)


def run(config: SweepPlanConfig, workspace: Workspace) -> Summary:
    """Names the students that are trained; the configuration was checked already."""
    attempts = shared_attempts(config.plan_uri, config.run_id)
    branches = [_tried(branch, attempts) for branch in config.branches]
    log.info("%d students to train: %s", len(branches), ", ".join(branch.name for branch in branches))
    # KFP cannot pass on null.
    facts = {"branches": [branch.model_dump(mode="json", exclude_none=True) for branch in branches]}
    return Summary.create("sweep_plan", config, {"branches": len(branches)}, facts)


def _tried(branch: Branch, attempts: str | None) -> Branch:
    """The branch with the number of its tries."""
    if attempts is None:
        return branch
    place = f"{attempts.rstrip('/')}/{branch.name}-{_content_of(branch)}"
    attempt = read_attempt(place)
    if attempt:
        log.info("%s is tried again: a member of it failed, and not by its options", branch.name)
    return branch.model_copy(update={"attempt": attempt, "attempts": place})


def _content_of(branch: Branch) -> str:
    # KFP hands a mapping on in another order in each run.
    return short_hash(json.dumps(branch.model_dump(mode="json"), sort_keys=True))
