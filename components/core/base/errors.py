"""Exceptions for errors of the user and for services that do not answer; exit codes and prefixes of all failures."""

from collections.abc import Sequence

# A component's process reports each kind of failure by an exit code and by a prefix of its last line on standard error.
USER_ERROR_EXIT_CODE = 2
ERROR_PREFIX = "error: "
# EX_TEMPFAIL of sysexits.h.
UNAVAILABLE_EXIT_CODE = 75
UNAVAILABLE_PREFIX = "unavailable: "
# EX_SOFTWARE of sysexits.h: a bug in compaware, such as a TypeError. A retry fails in the same way.
FAULT_EXIT_CODE = 70
FAULT_PREFIX = "fault: "
# Any other failure, exit code 1: too little memory, a lost peer, a full disk. A retry may succeed.
FAILURE_PREFIX = "failed: "
# A signal killed one of several processes; the exit code is 128 + the signal's number.
KILLED_PREFIX = "killed: "
_PREFIXES = (ERROR_PREFIX, UNAVAILABLE_PREFIX, FAULT_PREFIX, FAILURE_PREFIX, KILLED_PREFIX)


class UserError(Exception):
    """An error that the user can fix.

    The message is one line that says what is wrong and what to change. Entry points print it without a traceback and
    exit with code 2.
    """


class UnavailableError(Exception):
    """A service does not answer; a later retry may succeed.

    The message is one line. Entry points print it without a traceback and exit with code 75.
    """


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message, at most 200 characters; adds the name of unclear exceptions."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    if not line or isinstance(error, LookupError | AttributeError | TypeError | AssertionError):
        line = f"{type(error).__name__}: {line}".removesuffix(": ")
    return line if len(line) <= 200 else f"{line[:197]}..."


def reported_reason(lines: Sequence[str]) -> str:
    """Returns the reason that a failed component's process reported last in its log; empty if there is none."""
    return next((line.strip().partition(": ")[2] for line in reversed(lines) if line.startswith(_PREFIXES)), "")
