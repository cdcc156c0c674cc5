"""Sets up logging on import: the first module of a server that imports libraries before any of our code runs in it."""

from compaware.components.core.logs import setup_logging

setup_logging()
