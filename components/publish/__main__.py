"""`python -m compaware.components.publish`."""

from compaware.components.core.stage.entrypoint import main
from compaware.components.publish.config import PublishConfig

if __name__ == "__main__":
    main("compaware.components.publish.publish", PublishConfig)
