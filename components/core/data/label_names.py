"""Which label of a model is which of the data: by name as far as names tell, and never one for two."""

import re
import unicodedata
from collections.abc import Sequence

from compaware.components.core.base.errors import UserError

# What people write between words or leave out; "+", "#", "*" and emoji are part of a name.
_SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015./,:;'\"()\[\]{}\u00b7\u3001\u3002\u30fb]+")
_NUMBER = re.compile(r"(?:(?<![^\W_])[+-])?\d+(?:\.\d+)?")
# What labels without names are called: transformers writes LABEL_0.
_NAMELESS = re.compile(r"(?:label|class)?(\d+)")
_SHOWN_CHARACTERS = 60
_SHOWN_ORDER = 10


def match_names(names: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Finds the names of one list in another.

    They are compared letter for letter, then without regard to case and blanks, then without separators and with
    numbers as numbers. A form counts only where it tells all names of each list apart.

    Args:
        names: What there is.
        wanted: What is looked for.

    Returns:
        For each wanted name the index of the same one in `names`, a permutation; None where there is none.
    """
    for form in (str, _fold, _simplify):
        order = _order([form(name) for name in names], [form(name) for name in wanted])
        if order is not None:
            return order
    return None


def order_labels(
    names: Sequence[str], wanted: Sequence[str], *, role: str = "teacher", label_order: Sequence[str] | None = None
) -> tuple[list[int], str]:
    """Finds, for each label of the data, the output of a model that means it.

    Args:
        names: The model's labels in the order of its outputs.
        wanted: The data's labels in the order of their indices; as many.
        role: What the model is called in errors: teacher, student, ….
        label_order: The model's labels in the data's order, to settle what names cannot.

    Returns:
        The index of that output for each label of the data, a permutation; and how it was found.

    Raises:
        UserError: The names do not tell, or `label_order` does not hold the model's labels.
    """
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise UserError(f"the {role} has two labels '{twice[:40]}': give each its own name in id2label of config.json")
    if label_order is not None:
        order = match_names(names, label_order)
        if order is None:
            given, shown = show_names(label_order), show_names(names)
            raise UserError(f"label_order [{given}] must hold the {role}'s labels [{shown}], each once")
        return order, "in the order given by label_order"
    order = match_names(names, wanted)
    if order is not None:
        return order, _said("matched by name", order)
    by_index = list(range(len(names)))
    if _starts_at(names) == 0 and not all(map(str.isdigit, names)):
        return by_index, f"by index, since the {role} has no label names"
    # Numbers that are names: "1" is "1 star".
    if _indices(names) or _indices(wanted):
        order = _order([_number(name) for name in names], [_number(name) for name in wanted])
        if order is not None:
            return order, _said("matched by number", order)
    for nameless, own, others in ((f"the {role}", names, wanted), ("the data", wanted, names)):
        start = _starts_at(own)
        # From 1, numbers may be names, too; then they are not taken for indices beside other numbers.
        if start == 0 or (start == 1 and not any(map(_NUMBER.search, others))):
            return by_index, f"by index, since {nameless} has no label names"
    remedy = "give its labels in the data's order as label_order" if role == "teacher" else "name its labels so"
    raise UserError(
        f"the {role}'s labels [{show_names(names)}] do not match the data's [{show_names(wanted)}]: choose a {role} "
        f"for this data, or {remedy}"
    )


def show_names(names: Sequence[str]) -> str:
    """The first of some names, for a message of one line."""
    text = ", ".join(" ".join(name.split()) for name in names)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(names)} labels)"


def _order(names: list[str], wanted: list[str]) -> list[int] | None:
    places = {name: index for index, name in enumerate(names)}
    if len(places) < len(names) or len(wanted) != len(names) or set(wanted) != places.keys() or "" in places:
        return None
    return [places[name] for name in wanted]


def _said(how: str, order: list[int]) -> str:
    if order == sorted(order):
        return how
    return f"{how} and permuted {order}" if len(order) <= _SHOWN_ORDER else f"{how} and permuted"


def _fold(name: str) -> str:
    """Without differences of case, width, blanks, and characters that nobody sees (marks of order, emoji's style)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = (char for char in folded if unicodedata.category(char) != "Cf" and not "\ufe00" <= char <= "\ufe0f")
    # The dots of Turkish letters do not survive a change of case.
    return " ".join("".join(seen).split()).replace("i\u0307", "i").replace("ı", "i")


def _simplify(name: str) -> str:
    """Without separators, but for those that stand between digits or are a sign; a number as its value."""
    folded = _fold(name).replace("\u2212", "-")
    return repr(float(folded)) if _NUMBER.fullmatch(folded) else _SEPARATORS.sub(_keep_or_drop, folded)


def _keep_or_drop(separator: re.Match[str]) -> str:
    before, run = separator.string[: separator.start()][-1:], separator.group()
    number_follows = separator.string[separator.end() :][:1].isdigit()
    is_sign = run[-1] == "-" and (run[:-1] or not before)
    return run if number_follows and (before.isdigit() or is_sign) else ""


def _number(name: str) -> str:
    """The value of the only number in a name; empty where there is none, or several."""
    found = _NUMBER.findall(_fold(name).replace("\u2212", "-"))
    return repr(float(found[0])) if len(found) == 1 else ""


def _indices(names: Sequence[str]) -> list[int] | None:
    """The indices that stand for names, alone or as in LABEL_0; None where some are names."""
    found = [_NAMELESS.fullmatch(_SEPARATORS.sub("", _fold(name))) for name in names]
    indices = [int(match[1]) for match in found if match]
    return indices if len(indices) == len(names) else None


def _starts_at(names: Sequence[str]) -> int | None:
    """The first of consecutive indices that stand for names; None where they are something else."""
    indices = _indices(names) or [0]
    return indices[0] if indices == list(range(indices[0], indices[0] + len(names))) else None
