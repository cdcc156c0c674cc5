"""`python -m compaware.components.accuracy_gate`."""

from compaware.components.accuracy_gate.config import AccuracyGateConfig
from compaware.components.core.stage.entrypoint import main

if __name__ == "__main__":
    main("compaware.components.accuracy_gate.gate", AccuracyGateConfig)
