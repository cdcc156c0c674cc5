"""`python -m compaware.components.distillation`."""

from compaware.components.core.stage.entrypoint import main
from compaware.components.distillation.config import DistillationConfig

if __name__ == "__main__":
    main("compaware.components.distillation.distil", DistillationConfig, evaluates=True)
