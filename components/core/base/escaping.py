"""Texts that come from data, models and errors, made safe to show: in HTML, in Markdown, in a chat."""

import re

# What a reader does not see and a page may trip over: control characters, overrides of the direction of writing (which
# spill over what follows) and halves of a surrogate pair (which cannot be written).
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
# Markup wherever it stands: CommonMark, tables and strikethrough of GitHub, and mathematics, attributes, directives,
# superscripts and marks of its extensions.
_MARKUP = re.compile(r"[\\`*_\[\]{}<>|~&$#^]|==|:(?=[/\w:])|@(?=\w)|(?<=www)\.", re.IGNORECASE)
# Markup at the start of a line: lists, rules and underlines of headings.
_AT_START = re.compile(r"^(\d{0,9})([-+=.)])(?=[-=\s]|$)")


def plain(text: str) -> str:
    """The text without what cannot be seen; lines stay."""
    return _UNSEEN.sub(_REPLACEMENT, "\n".join(text.splitlines()))


def markdown(text: object) -> str:
    """A text as one line of Markdown that shows the text: in a paragraph, a heading, a list or a table's cell."""
    escaped = _MARKUP.sub(lambda found: "".join(f"\\{sign}" for sign in found[0]), _line(str(text)))
    return _AT_START.sub(r"\1\\\2", escaped)


def chat(text: str) -> str:
    """A text as code in a chat's message, on one line: chats know different markup, but all know code by backticks.

    Brackets, which Slack reads even there, and backticks are replaced by what looks like them.
    """
    line = _line(text).translate(str.maketrans("<>`", "‹›'"))
    return f"`{line}`" if line else ""


def _line(text: str) -> str:
    return " ".join(plain(text).split())
