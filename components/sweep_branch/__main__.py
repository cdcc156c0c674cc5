"""`python -m compaware.components.sweep_branch`."""

from compaware.components.core.stage.entrypoint import main
from compaware.components.sweep_branch.config import SweepBranchConfig

if __name__ == "__main__":
    main("compaware.components.sweep_branch.branch", SweepBranchConfig)
