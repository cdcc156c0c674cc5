"""A clock that goes on only when it is told to."""

from datetime import UTC, datetime, timedelta


class Clock:
    """The time of the server."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> str:
        """Returns the time as the server writes it."""
        return f"{self._now:%Y-%m-%dT%H:%M:%SZ}"

    def tick(self) -> str:
        """Goes on by ten seconds and returns the time."""
        self._now += timedelta(seconds=10)
        return self.now()
