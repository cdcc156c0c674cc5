"""Formats names and values from the data for messages, which are one short line."""

from collections.abc import Iterable

_LISTED_NAMES = 8
QUOTED_NAMES = 3
_NAME_CHARACTERS = 30


def shorten(text: str, characters: int) -> str:
    """Returns the text on one line, cut to this many characters; unprintable characters are replaced."""
    line = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text[: characters * 4].split()))
    return line if len(line) <= characters else line[: characters - 1] + "…"


def list_names(names: Iterable[str], characters: int = 120) -> str:
    """Returns the first names, separated by commas, and the number of the others."""
    names = list(names)
    listed: list[str] = []
    for name in names[:_LISTED_NAMES]:
        # Quotes show whitespace at the ends.
        short = shorten(name, _NAME_CHARACTERS) if name == name.strip() else repr(name[:_NAME_CHARACTERS])
        if listed and len(", ".join([*listed, short])) > characters:
            break
        listed.append(short)
    others = len(names) - len(listed)
    return ", ".join(listed) + (f" and {others} others" if others else "")


def escape_name(name: str) -> str:
    """Returns a name with its unprintable characters escaped; a long name is cut."""
    escaped = "".join(char if char.isprintable() else repr(char)[1:-1] for char in name[:_NAME_CHARACTERS])
    return escaped + ("…" if len(name) > _NAME_CHARACTERS else "")


def quote_names(names: Iterable[str]) -> str:
    """Returns the first names, in quotes, and the number of the others."""
    names = list(names)
    others = f" and {len(names) - QUOTED_NAMES} more" if len(names) > QUOTED_NAMES else ""
    return ", ".join(f"'{escape_name(name)}'" for name in names[:QUOTED_NAMES]) + others


def count_names(names: list[str], noun: str) -> str:
    """Returns `the class 'a'`, or `3 classes: 'a', 'b', 'c'`."""
    if len(names) == 1:
        return f"the {noun} {quote_names(names)}"
    return f"{len(names)} {noun}{'es' if noun.endswith('s') else 's'}: {quote_names(names)}"
