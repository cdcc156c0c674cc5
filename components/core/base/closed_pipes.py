"""Output that nobody reads any more, as after `… | head`, is no error and needs no traceback."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

SIGPIPE_EXIT_CODE = 141


class _Forgiving:
    """A text stream whose reader may go away: what is written from then on is lost, or the process ends."""

    def __init__(self, stream: Any, ends_with: int | None):
        self._stream = stream
        self._ends_with = ends_with

    def write(self, text: str) -> int:
        self._forgive(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._forgive(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _forgive(self, deed: Callable[[], Any]) -> None:
        try:
            deed()
        except BrokenPipeError:
            # What the stream still holds goes there, too: else it would fail again as the process ends.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            if self._ends_with is not None:
                sys.exit(self._ends_with)


@contextlib.contextmanager
def ignore_closed_pipes(ends_with: int | None = None) -> Iterator[None]:
    """Lets this process go on, or end quietly, when the reader of its output has gone.

    Args:
        ends_with: Exit code to end with at once; None to go on with what has to be done.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream and _Forgiving(stream, ends_with) for stream in before)
    try:
        yield
    finally:
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream:
                    stream.flush()
        finally:
            sys.stdout, sys.stderr = before
