"""`python -m compaware.components.quantization_aware_training`."""

from compaware.components.core.stage.entrypoint import main
from compaware.components.quantization_aware_training.config import QuantizationAwareTrainingConfig

if __name__ == "__main__":
    main("compaware.components.quantization_aware_training.quantize", QuantizationAwareTrainingConfig, evaluates=True)
