"""The one exception that means: the user can mend this."""


class UserError(Exception):
    """A mistake in what the user gave us.

    The message is one line that says what is wrong and what to change. Entry points print it without a traceback and
    exit with code 2.
    """
