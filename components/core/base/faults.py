"""What becomes of an exception that nobody expected: one line for the user, and its trace where it can be found."""

import os
import sys
import tempfile
import traceback
from pathlib import Path

from compaware.components.core.base.distributed import rank
from compaware.components.core.base.errors import FAILURE_PREFIX, FAULT_EXIT_CODE, FAULT_PREFIX

# Neither time nor another machine mends these.
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
    """Writes the trace to a file, in a pod to the log, then one line to standard error.

    Args:
        error: What was raised.
        folder: Where the trace's file goes if the folder is there and can be written; else, the temporary folder.

    Returns:
        The exit code: `FAULT_EXIT_CODE` for a fault of the program, 1 for what may succeed when it is tried again.
    """
    trace = "".join(traceback.format_exception(error))
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        # A pod's files are gone when it is.
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
            pass  # A full or read-only disk is no reason to lose the trace.
        else:
            return file
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="compaware-", suffix="-trace.txt", delete=False
    ) as stream:
        stream.write(trace)
    return Path(stream.name)
