"""`python -m compaware.components.publish`."""

from compaware.components.core.entrypoint import main
from compaware.components.publish.config import PublishConfig

if __name__ == "__main__":
    main("compaware.components.publish.publish", PublishConfig)
