"""Finds label names that may be mistakes: spellings of one name, words for missing values, lists, and amounts."""

import re
import unicodedata
from decimal import Decimal, InvalidOperation

import numpy as np

from compaware.components.data_prep.messages import QUOTED_NAMES, escape_name, quote_names
from compaware.components.data_prep.multi_label import BRACKETS, SEPARATORS
from compaware.components.data_prep.normalize import MISSING_WORDS, normalize_text

# This many different whole numbers are more likely amounts than classes.
_MANY_NUMBERS = 20
# Only the first groups of similar names are noted.
_MAX_GROUPS = 3


def find_suspicious_names(names: list[str], train: np.ndarray) -> list[str]:
    """Returns notes about label names, taken from the data, that may not be what they seem.

    Args:
        names: Names of the classes, or of the labels of multi-label data.
        train: The encoded training labels.
    """
    rows = train.sum(axis=0) if train.ndim == 2 else np.bincount(train, minlength=len(names))
    return [
        *_note_similar(names),
        *(
            f"The label '{escape_name(name)}' of {count} training rows looks like a missing value but is kept."
            for name, count in zip(names, rows.tolist(), strict=True)
            if normalize_text(name) in MISSING_WORDS
        ),
        *_note_lists(names),
        *_note_amounts(names),
    ]


def _note_similar(names: list[str]) -> list[str]:
    spellings: dict[str | Decimal, list[str]] = {}
    for name in names:
        spellings.setdefault(_spelling_key(name), []).append(name)
    groups = [group for group in spellings.values() if len(group) > 1]
    notes = [
        f"The labels {_quote_similar(group)} differ only in spelling (whitespace, case, Unicode form) and are used as "
        f"{len(group)} classes: spell them alike if they mean the same."
        for group in groups[:_MAX_GROUPS]
    ]
    if len(groups) > _MAX_GROUPS:
        notes[-1] += f" The same is true of {len(groups) - _MAX_GROUPS} more groups of labels."
    return notes


def _quote_similar(names: list[str]) -> str:
    """Returns the names in quotes; with escapes where two of them would look the same."""
    quoted = names[:QUOTED_NAMES]
    looks = {unicodedata.normalize("NFKC", escape_name(name)) for name in quoted}
    return quote_names(names if len(looks) == len(quoted) else [ascii(name)[1:-1] for name in names])


def _spelling_key(name: str) -> str | Decimal:
    """Returns a key that is equal for two spellings of a name.

    Signs that carry meaning keep names apart: "C" and "C++", "1" and "-1".
    """
    try:
        # A float would make different identifiers of 17 digits equal.
        number = Decimal(name)
    except InvalidOperation:
        number = Decimal("nan")
    if number.is_finite():
        return number
    joined = re.sub(r"(?<=\w)[-_\s]+(?=\w)", "", unicodedata.normalize("NFKC", name).casefold())
    return "".join(char for char in joined if not char.isspace() and unicodedata.category(char) != "Cf")


def _note_amounts(names: list[str]) -> list[str]:
    if len(names) < _MANY_NUMBERS or not all(re.fullmatch(r"-?\d+", name) for name in names):
        return []
    return [
        f"The labels are {len(names)} different whole numbers and are used as classes: for amounts, set "
        "problem_type=regression."
    ]


def _note_lists(names: list[str]) -> list[str]:
    """Notes labels that look like several labels in one text."""
    remedy = "if rows have several labels, set problem_type=multi_label_classification."
    lists = [name for name in names if BRACKETS.fullmatch(name)]
    if len(lists) == len(names) or any(separator in name for name in lists for separator in SEPARATORS):
        return [f"{_look_like(lists, 'a list', 'lists')} ({quote_names(lists)}); each is used as one class: {remedy}"]
    for separator in SEPARATORS:
        parts = {name: [part.strip() for part in name.split(separator)] for name in names}
        joined = [name for name in names if len(parts[name]) > 1]
        if joined and _are_shared([set(labels) for labels in parts.values()], parts[joined[0]]):
            several = f"several labels separated by '{separator}'"
            return [f"{_look_like(joined, several, several)} ({quote_names(joined)}): {remedy}"]
    return []


def _are_shared(labels: list[set[str]], example: list[str]) -> bool:
    """Whether the parts of joined labels are labels themselves.

    They are if there are fewer different parts than labels, or if each part of the example occurs in another label.
    """
    return len(set().union(*labels)) < len(labels) or all(
        sum(part in parts for parts in labels) > 1 for part in example
    )


def _look_like(names: list[str], singular: str, plural: str) -> str:
    return f"1 label looks like {singular}" if len(names) == 1 else f"{len(names)} labels look like {plural}"
