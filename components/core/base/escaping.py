"""Escapes texts from data, models and errors for HTML, Markdown and chat messages."""

import re

# Characters that are invisible and may break a page: control characters, overrides of the text direction (which affect
# the text after them) and halves of surrogate pairs (which cannot be encoded).
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
# Markup at any position: CommonMark, GitHub's tables and strikethrough, and the extensions for math, attributes,
# directives, superscripts and marks.
_MARKUP = re.compile(r"[\\`*_\[\]{}<>|~&$#^]|==|:(?=[/\w:])|@(?=\w)|(?<=www)\.", re.IGNORECASE)
# Markup at the start of a line: lists, rules and underlines of headings.
_AT_START = re.compile(r"^(\d{0,9})([-+=.)])(?=[-=\s]|$)")


def plain(text: str) -> str:
    """Returns the text with invisible characters replaced; line breaks stay."""
    return _INVISIBLE.sub(_REPLACEMENT, "\n".join(text.splitlines()))


def markdown(text: object) -> str:
    """Returns one line of Markdown that renders as `text` in a paragraph, a heading, a list or a table cell."""
    escaped = _MARKUP.sub(lambda match: "".join(f"\\{sign}" for sign in match[0]), _line(str(text)))
    return _AT_START.sub(r"\1\\\2", escaped)


def chat(text: str) -> str:
    """Returns a text as one line of code in backticks, the only markup that all chat programs share.

    Backticks, and angle brackets, which Slack interprets even in code, are replaced by similar characters.
    """
    line = _line(text).translate(str.maketrans("<>`", "‹›'"))
    return f"`{line}`" if line else ""


def _line(text: str) -> str:
    return " ".join(plain(text).split())
