"""Sets up logging on import: a forkserver preloads this module before the libraries, so that they log nothing."""

import atexit
import os

from compaware.components.core.base.logs import setup_logging

setup_logging()
# Handlers run in reverse order, so this one runs last. It skips the libraries' teardown, which takes seconds.
atexit.register(os._exit, 0)
