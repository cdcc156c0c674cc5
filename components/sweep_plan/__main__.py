"""`python -m compaware.components.sweep_plan`."""

from compaware.components.core.stage.entrypoint import main
from compaware.components.sweep_plan.config import SweepPlanConfig

if __name__ == "__main__":
    main("compaware.components.sweep_plan.plan", SweepPlanConfig)
