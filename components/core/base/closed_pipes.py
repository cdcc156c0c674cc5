"""Writes to a closed pipe, as after `… | head`, without a traceback."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

SIGPIPE_EXIT_CODE = 141


class _PipeSafeStream:
    """A text stream whose reader may close it: later output is dropped, or the process exits."""

    def __init__(self, stream: Any, exit_code: int | None):
        self._stream = stream
        self._exit_code = exit_code

    def write(self, text: str) -> int:
        self._call(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._call(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _call(self, operation: Callable[[], Any]) -> None:
        try:
            operation()
        except BrokenPipeError:
            # Redirects the buffered output as well. Otherwise the flush at exit would fail again.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
            if self._exit_code is not None:
                sys.exit(self._exit_code)


@contextlib.contextmanager
def ignore_closed_pipes(exit_code: int | None = None) -> Iterator[None]:
    """Continues, or exits quietly, when the reader of stdout or stderr has closed it.

    Args:
        exit_code: Code to exit with at once; None to continue.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream and _PipeSafeStream(stream, exit_code) for stream in before)
    try:
        yield
    finally:
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream:
                    stream.flush()
        finally:
            sys.stdout, sys.stderr = before
