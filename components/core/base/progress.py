"""One line of progress at a bounded rate, the same for every long loop, easy to read by people and by `compaware run`.

progress: step 120/470, epoch 1.02, loss 0.3112, 212 samples/s, 0:01:23 left
"""

import datetime
import logging
import re
import time

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 2.0
PATTERN = re.compile(r"progress: (?P<what>\w+) (?P<done>\d+)/(?P<total>\d+)(?P<details>.*)")


class Progress:
    """Logs how far a loop has come.

    Args:
        what: What is counted: `step`, `row`, `round`.
        total: The count at the end.
        done: Where the loop starts (more than 0 when it is resumed).
    """

    def __init__(self, what: str, total: int, done: int = 0):
        self._what = what
        self._total = total
        self._first = done
        self._started = time.monotonic()
        self._last_line = 0.0

    def update(self, done: int, details: str = "", samples_per_count: float = 1.0) -> None:
        """Logs a line if the last one is old enough, or if the loop is at its end.

        Args:
            done: How many are done now.
            details: More to say, such as `epoch 1.02, loss 0.31`.
            samples_per_count: Samples in one count, for the rate.
        """
        now = time.monotonic()
        if done < self._total and now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        rate = (done - self._first) / max(now - self._started, 1e-9)
        left = (self._total - done) / rate if rate > 0 else 0.0
        parts = [f"progress: {self._what} {done}/{self._total}", details, f"{rate * samples_per_count:.0f} samples/s"]
        parts.append(f"{datetime.timedelta(seconds=round(left))} left")
        log.info(", ".join(part for part in parts if part))
