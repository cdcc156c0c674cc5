"""The exceptions that are no bugs: the user can mend it, or time can."""

# How a component's process tells of one: this exit code, and a line on standard error that begins so.
USER_ERROR_EXIT_CODE = 2
ERROR_PREFIX = "error: "
# EX_TEMPFAIL of sysexits.h.
UNAVAILABLE_EXIT_CODE = 75
UNAVAILABLE_PREFIX = "unavailable: "
# EX_SOFTWARE of sysexits.h: a fault of ours, such as a TypeError. The same work, tried again, fails again.
FAULT_EXIT_CODE = 70
FAULT_PREFIX = "fault: "
# Any other failure, exit code 1: no memory, a peer that is gone, a full disk. It may succeed when tried again.
FAILURE_PREFIX = "failed: "
# Of several processes, a signal ended one: the exit code is 128 and its number.
KILLED_PREFIX = "killed: "


class UserError(Exception):
    """A mistake in what the user gave us.

    The message is one line that says what is wrong and what to change. Entry points print it without a traceback and
    exit with code 2.
    """


class UnavailableError(Exception):
    """Something that the work needs does not answer; the same work, tried again later, may succeed.

    The message is one line. Entry points print it without a traceback and exit with code 75.
    """


def first_line(error: Exception) -> str:
    """The first line of a library's message, cut; with the exception's name where the message alone says little."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    if not line or isinstance(error, LookupError | AttributeError | TypeError | AssertionError):
        line = f"{type(error).__name__}: {line}".removesuffix(": ")
    return line if len(line) <= 200 else f"{line[:197]}..."
