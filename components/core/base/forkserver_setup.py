"""Sets up logging on import: the first module of a server that imports libraries before any of our code runs in it."""

import atexit
import os

from compaware.components.core.base.logs import setup_logging

setup_logging()
# The last to be called: taking the libraries apart would need seconds, for which the process that started it waits.
atexit.register(os._exit, 0)
