"""Work of sweep_plan: the product of students and temperatures."""

import json
import logging

from compaware.components.core.base.hashing import short_hash
from compaware.components.core.base.summary import Summary
from compaware.components.core.stage.workspace import Workspace
from compaware.components.launch import shared_folder
from compaware.components.sweep_plan.attempts import read_attempt
from compaware.components.sweep_plan.config import SweepPlanConfig
from compaware.components.sweep_plan.grid import Branch

log = logging.getLogger(__name__)


def run(config: SweepPlanConfig, workspace: Workspace) -> Summary:
    """Lists the branches of the sweep, each with its number of attempts."""
    attempts = shared_folder(config.plan_uri, config.run_id, "sweep-attempts")
    branches = [_with_attempt(branch, attempts) for branch in config.branches]
    log.info("%d students to train: %s", len(branches), ", ".join(branch.name for branch in branches))
    # KFP cannot pass null values on.
    facts = {"branches": [branch.model_dump(mode="json", exclude_none=True) for branch in branches]}
    return Summary.create("sweep_plan", config, {"branches": len(branches)}, facts)


def _with_attempt(branch: Branch, attempts: str | None) -> Branch:
    """Returns the branch with its number of attempts, from the folder or URI of all attempts."""
    if attempts is None:
        return branch
    folder = f"{attempts.rstrip('/')}/{branch.name}-{_content_hash(branch)}"
    attempt = read_attempt(folder)
    if attempt:
        log.info("%s is repeated: one of its members failed for a reason that another attempt may fix", branch.name)
    return branch.model_copy(update={"attempt": attempt, "attempts": folder})


def _content_hash(branch: Branch) -> str:
    # KFP passes mappings on in a different order in each run.
    return short_hash(json.dumps(branch.model_dump(mode="json"), sort_keys=True))
