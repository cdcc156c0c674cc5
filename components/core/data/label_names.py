"""Matches the labels of a model with the labels of the data by name; each label is matched once."""

import re
import unicodedata
from collections.abc import Sequence

from compaware.components.core.base.errors import UserError

# Separators that people write between words or leave out; "+", "#", "*" and emoji are part of a name.
_SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015./,:;'\"()\[\]{}\u00b7\u3001\u3002\u30fb]+")
_NUMBER = re.compile(r"(?:(?<![^\W_])[+-])?\d+(?:\.\d+)?")
# Labels without names; transformers writes LABEL_0.
_NAMELESS = re.compile(r"(?:label|class)?(\d+)")
_SHOWN_CHARACTERS = 60
_SHOWN_ORDER = 10


def match_names(names: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Finds the names of one list in another.

    Names are compared as they are written, then without case and whitespace, then without separators and with numbers
    by value. A comparison counts only if it keeps all names of each list apart.

    Args:
        names: Names to search.
        wanted: Names to find.

    Returns:
        The index in `names` of each wanted name, a permutation; None if the lists do not match.
    """
    for form in (str, _fold, _simplify):
        order = _order([form(name) for name in names], [form(name) for name in wanted])
        if order is not None:
            return order
    return None


def order_labels(
    names: Sequence[str], wanted: Sequence[str], *, role: str = "teacher", label_order: Sequence[str] | None = None
) -> tuple[list[int], str]:
    """Finds the output of a model for each label of the data.

    Args:
        names: The model's labels in the order of its outputs.
        wanted: The data's labels in the order of their indices; the same number.
        role: Name of the model in errors: teacher, student, ….
        label_order: The model's labels in the data's order, for labels that do not match by name.

    Returns:
        The index of the output for each label of the data, a permutation; and how the labels were matched.

    Raises:
        UserError: The labels do not match, or `label_order` does not list the model's labels.
    """
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise UserError(f"the {role} has two labels '{twice[:40]}': give each its own name in id2label of config.json")
    if label_order is not None:
        order = match_names(names, label_order)
        if order is None:
            given, shown = show_names(label_order), show_names(names)
            raise UserError(f"label_order [{given}] must list the labels of the {role} [{shown}], each once")
        return order, "in the order given by label_order"
    order = match_names(names, wanted)
    if order is not None:
        return order, _describe_match("matched by name", order)
    by_index = list(range(len(names)))
    if _starts_at(names) == 0 and not all(map(str.isdigit, names)):
        return by_index, f"by index, since the {role} has no label names"
    # Labels that are numbers: "1" matches "1 star".
    if _indices(names) or _indices(wanted):
        order = _order([_number(name) for name in names], [_number(name) for name in wanted])
        if order is not None:
            return order, _describe_match("matched by number", order)
    for nameless, own, others in ((f"the {role}", names, wanted), ("the data", wanted, names)):
        start = _starts_at(own)
        # Numbers from 1 may be names, too: they count as indices only if the other labels have no numbers.
        if start == 0 or (start == 1 and not any(map(_NUMBER.search, others))):
            return by_index, f"by index, since {nameless} has no label names"
    remedy = "list its labels in label_order" if role == "teacher" else "rename its labels in config.json"
    raise UserError(
        f"the labels of the {role} [{show_names(names)}] do not match the data's [{show_names(wanted)}]: use a model "
        f"trained for this data, or {remedy}"
    )


def show_names(names: Sequence[str]) -> str:
    """Joins names for a message of one line, and cuts a long list."""
    text = ", ".join(" ".join(name.split()) for name in names)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(names)} labels)"


def _order(names: list[str], wanted: list[str]) -> list[int] | None:
    indices = {name: index for index, name in enumerate(names)}
    if len(indices) < len(names) or len(wanted) != len(names) or set(wanted) != indices.keys() or "" in indices:
        return None
    return [indices[name] for name in wanted]


def _describe_match(how: str, order: list[int]) -> str:
    if order == sorted(order):
        return how
    return f"{how} and permuted {order}" if len(order) <= _SHOWN_ORDER else f"{how} and permuted"


def _fold(name: str) -> str:
    """Removes differences of case, width and whitespace, and invisible characters (direction marks, emoji styles)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    visible = (char for char in folded if unicodedata.category(char) != "Cf" and not "\ufe00" <= char <= "\ufe0f")
    # A change of case adds or drops the dot of the Turkish i.
    return " ".join("".join(visible).split()).replace("i\u0307", "i").replace("ı", "i")


def _simplify(name: str) -> str:
    """Removes separators, except between digits and as a sign; returns a number as its value."""
    folded = _fold(name).replace("\u2212", "-")
    return repr(float(folded)) if _NUMBER.fullmatch(folded) else _SEPARATORS.sub(_keep_or_drop, folded)


def _keep_or_drop(separator: re.Match[str]) -> str:
    before, run = separator.string[: separator.start()][-1:], separator.group()
    number_follows = separator.string[separator.end() :][:1].isdigit()
    is_sign = run[-1] == "-" and (run[:-1] or not before)
    return run if number_follows and (before.isdigit() or is_sign) else ""


def _number(name: str) -> str:
    """Returns the value of the only number in a name; empty if there is none or several."""
    numbers = _NUMBER.findall(_fold(name).replace("\u2212", "-"))
    return repr(float(numbers[0])) if len(numbers) == 1 else ""


def _indices(names: Sequence[str]) -> list[int] | None:
    """Returns the indices of labels without names, such as 0 or LABEL_0; None if any label has a name."""
    matches = [_NAMELESS.fullmatch(_SEPARATORS.sub("", _fold(name))) for name in names]
    indices = [int(match[1]) for match in matches if match]
    return indices if len(indices) == len(names) else None


def _starts_at(names: Sequence[str]) -> int | None:
    """Returns the first of consecutive indices of labels without names; None for any other labels."""
    indices = _indices(names) or [0]
    return indices[0] if indices == list(range(indices[0], indices[0] + len(names))) else None
