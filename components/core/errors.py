"""The one exception that means: the user can mend this."""

# How a component's process tells of one: this exit code, and a line on standard error that begins so.
USER_ERROR_EXIT_CODE = 2
ERROR_PREFIX = "error: "


class UserError(Exception):
    """A mistake in what the user gave us.

    The message is one line that says what is wrong and what to change. Entry points print it without a traceback and
    exit with code 2.
    """
