"""Reads tokens from the environment."""

import os

from compaware.components.core.base.errors import UserError


def read_token(variable: str) -> str:
    """Returns the token in an environment variable; empty if it is not set.

    White space at its ends is removed, because a secret that was created from a file often ends with a newline.

    Raises:
        UserError: HTTP cannot send the token. Unlike the HTTP client's message, this one does not contain the token.
    """
    token = os.environ.get(variable, "").strip()
    if not (token.isascii() and token.isprintable()):
        raise UserError(f"{variable} is not a token: it contains a line break or another unprintable character")
    return token
