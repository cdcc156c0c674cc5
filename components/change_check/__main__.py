"""`python -m compaware.components.change_check`."""

from compaware.components.change_check.config import ChangeCheckConfig
from compaware.components.core.stage.entrypoint import main

if __name__ == "__main__":
    main("compaware.components.change_check.check", ChangeCheckConfig)
