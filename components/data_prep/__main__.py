"""`python -m compaware.components.data_prep`."""

from compaware.components.core.stage.entrypoint import main
from compaware.components.data_prep.config import DataPrepConfig

if __name__ == "__main__":
    main("compaware.components.data_prep.prepare", DataPrepConfig)
