"""Progress lines of long loops, at a limited rate; `compaware run` parses them.

progress: step 120/470, epoch 1.02, loss 0.3112, 212 samples/s, 0:01:23 left
"""

import datetime
import logging
import re
import time

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 2.0
PATTERN = re.compile(r"progress: (?P<unit>\w+) (?P<done>\d+)/(?P<total>\d+)(?P<details>.*)")


class Progress:
    """Logs the progress of a loop.

    Args:
        unit: What is counted: `step`, `row`, `round`.
        total: The count at the end.
        done: The count at the start; more than 0 when the loop is resumed.
    """

    def __init__(self, unit: str, total: int, done: int = 0):
        self._unit = unit
        self._total = total
        self._first = done
        self._started = time.monotonic()
        self._last_line = 0.0

    def update(self, done: int, details: str = "", samples_per_count: float = 1.0) -> None:
        """Logs a line at the end of the loop, or if the last line is old enough.

        Args:
            done: The current count.
            details: Added to the line, such as `epoch 1.02, loss 0.31`.
            samples_per_count: Samples in one count, for the rate.
        """
        now = time.monotonic()
        if done < self._total and now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        rate = (done - self._first) / max(now - self._started, 1e-9)
        left = (self._total - done) / rate if rate > 0 else 0.0
        parts = [f"progress: {self._unit} {done}/{self._total}", details, f"{rate * samples_per_count:.0f} samples/s"]
        parts.append(f"{datetime.timedelta(seconds=round(left))} left")
        log.info(", ".join(part for part in parts if part))
