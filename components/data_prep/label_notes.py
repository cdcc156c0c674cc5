"""What a person should know about the names of classes, and how names are shown in a line."""

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

import numpy as np

# Texts that tools and people write where a value is missing, folded.
LOOKS_MISSING = frozenset(
    ["", "nan", "none", "null", "nil", "n/a", "na", "<na>", "#n/a", "nat", "-", "--", "?", "missing", "undefined"]
)
# Longer names are cut in a line, and of more names only the first are shown.
_NAME_CHARACTERS = 30
_NAMES = 3
# So many classes that are whole numbers are rather amounts.
_MANY_NUMBERS = 20
# What stands between labels in one text, the likeliest first, and what may stand around them.
SEPARATORS = ("|", ";", ",")
BRACKETS = re.compile(r"\s*[\[{(].*[\]})]\s*", re.DOTALL)


def fold(text: str) -> str:
    """A text without what its spellings differ in: blanks, capitals and the form of Unicode."""
    if text.isascii():
        # The same, in a fraction of the time.
        return "".join(text.lower().split())
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def short(name: str) -> str:
    """A name for a line of text: what cannot be seen is escaped, and a long one is cut."""
    seen = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name[:_NAME_CHARACTERS])
    return seen + ("…" if len(name) > _NAME_CHARACTERS else "")


def shown(names: Iterable[str]) -> str:
    """The first of some names, in quotes."""
    found = list(names)
    more = f" and {len(found) - _NAMES} more" if len(found) > _NAMES else ""
    return ", ".join(f"'{short(name)}'" for name in found[:_NAMES]) + more


def counted(names: list[str], word: str) -> str:
    """`the class 'a'`, or `3 classes: 'a', 'b', 'c'`."""
    if len(names) == 1:
        return f"the {word} {shown(names)}"
    return f"{len(names)} {word}{'es' if word.endswith('s') else 's'}: {shown(names)}"


def note_names(names: list[str], train: np.ndarray) -> list[str]:
    """Notes about names, taken from the data, that may not be what they seem.

    Args:
        names: Of the classes, or of the labels of multi-label data.
        train: The encoded training labels.
    """
    rows = train.sum(axis=0) if train.ndim == 2 else np.bincount(train, minlength=len(names))
    return [
        *_alike(names),
        *(
            f"The label '{short(name)}' of {count} training rows looks like a missing value: it is taken as a name."
            for name, count in zip(names, rows.tolist(), strict=True)
            if fold(name) in LOOKS_MISSING
        ),
        *_look_like_lists(names),
        *_numbers(names),
    ]


def _alike(names: list[str]) -> list[str]:
    spellings: dict[str | Decimal, list[str]] = {}
    for name in names:
        spellings.setdefault(_key(name), []).append(name)
    groups = [found for found in spellings.values() if len(found) > 1]
    more = f" The same is true of {len(groups) - _NAMES} more." if len(groups) > _NAMES else ""
    return [
        f"The labels {_shown_apart(found)} differ only in spelling (blanks, capitals, Unicode form) and are taken as "
        f"{len(found)} classes: give them one spelling if they are one.{more if found is groups[:_NAMES][-1] else ''}"
        for found in groups[:_NAMES]
    ]


def _shown_apart(names: list[str]) -> str:
    """`shown`, with escapes where two names look the same."""
    looks = {unicodedata.normalize("NFKC", short(name)) for name in names[:_NAMES]}
    return shown(names if len(looks) == len(names[:_NAMES]) else [ascii(name)[1:-1] for name in names])


def _numbers(names: list[str]) -> list[str]:
    if len(names) < _MANY_NUMBERS or not all(re.fullmatch(r"-?\d+", name) for name in names):
        return []
    return [
        f"The labels are {len(names)} different whole numbers, taken as classes: for amounts, set "
        "problem_type=regression."
    ]


def _key(name: str) -> str | Decimal:
    """Equal for names that are spelled alike; signs of one's own ("C", "C++", "-1") keep names apart."""
    try:
        # A float would not tell identifiers of 17 digits apart.
        number = Decimal(name)
    except InvalidOperation:
        number = Decimal("nan")
    if number.is_finite():
        return number
    joined = re.sub(r"(?<=\w)[-_\s]+(?=\w)", "", unicodedata.normalize("NFKC", name).casefold())
    return "".join(letter for letter in joined if not letter.isspace() and unicodedata.category(letter) != "Cf")


def _look_like_lists(names: list[str]) -> list[str]:
    """A note where some labels are several in one text."""
    remedy = "for several labels a row, set problem_type=multi_label_classification."
    listed = [name for name in names if BRACKETS.fullmatch(name)]
    if len(listed) == len(names) or any(separator in name for name in listed for separator in SEPARATORS):
        return [f"{_count(listed)} like lists ({shown(listed)}) but are taken as single classes: {remedy}"]
    for separator in SEPARATORS:
        parts = {name: [part.strip() for part in name.split(separator)] for name in names}
        joined = [name for name in names if len(parts[name]) > 1]
        if joined and _are_shared([set(found) for found in parts.values()], parts[joined[0]]):
            return [f"{_count(joined)} like several with '{separator}' between ({shown(joined)}): {remedy}"]
    return []


def _are_shared(labels: list[set[str]], example: list[str]) -> bool:
    """Whether the parts of labels are labels themselves: they are fewer, or those of one occur in others."""
    return len(set().union(*labels)) < len(labels) or all(
        sum(part in found for found in labels) > 1 for part in example
    )


def _count(names: list[str]) -> str:
    return "1 label looks" if len(names) == 1 else f"{len(names)} labels look"
