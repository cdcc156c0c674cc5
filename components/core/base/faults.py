"""Reports an unexpected exception: one line for the user, and the traceback in a file or in the log."""

import os
import sys
import tempfile
import traceback
from pathlib import Path

from compaware.components.core.base.distributed import rank
from compaware.components.core.base.errors import FAILURE_PREFIX, FAULT_EXIT_CODE, FAULT_PREFIX

# Bugs: a retry, or another machine, does not help.
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)
_FAILURE_EXIT_CODE = 1
TRACE_PREFIX = "trace-"
_LONGEST_MESSAGE = 120


def report(error: Exception, folder: Path | None = None) -> int:
    """Writes the traceback to a file, or in a pod to the log, then one line to standard error.

    Args:
        error: The exception.
        folder: Folder for the traceback's file; the temporary folder is used if it does not exist or is not writable.

    Returns:
        The exit code: `FAULT_EXIT_CODE` for a bug, 1 for a failure that a retry may avoid.
    """
    trace = "".join(traceback.format_exception(error))
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        # The files of a pod are lost with it.
        print(trace, file=sys.stderr, end="")
        where = "in the log above"
    else:
        where = f"in {_write(trace, folder)}"
    is_fault = isinstance(error, _FAULTS)
    prefix = FAULT_PREFIX if is_fault else FAILURE_PREFIX
    print(f"{prefix}{_describe(error)}; the full trace is {where}", file=sys.stderr, flush=True)
    return FAULT_EXIT_CODE if is_fault else _FAILURE_EXIT_CODE


def _describe(error: Exception) -> str:
    message = " ".join(str(error).split())
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 1] + "…"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _write(trace: str, folder: Path | None) -> Path:
    if folder is not None and folder.is_dir():
        file = folder / f"{TRACE_PREFIX}{rank()}.txt"
        try:
            file.write_text(trace, encoding="utf-8")
        except OSError:
            pass  # The disk is full or read-only: use the temporary folder.
        else:
            return file
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="compaware-", suffix="-trace.txt", delete=False
    ) as stream:
        stream.write(trace)
    return Path(stream.name)
