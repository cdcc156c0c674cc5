"""Waits for other threads and processes."""

import time
from collections.abc import Callable
from typing import Any


def eventually(holds: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    """Waits until `holds` returns a true value, and returns it."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = holds()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("this did not happen in time")
