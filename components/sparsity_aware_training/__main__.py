"""`python -m compaware.components.sparsity_aware_training`."""

from compaware.components.core.stage.entrypoint import main
from compaware.components.sparsity_aware_training.config import SparsityAwareTrainingConfig

if __name__ == "__main__":
    main("compaware.components.sparsity_aware_training.sparsify", SparsityAwareTrainingConfig, evaluates=True)
