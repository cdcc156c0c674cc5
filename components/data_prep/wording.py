"""Values from data in messages, which stay one short line."""

from collections.abc import Iterable, Sequence

_NAMES = 8
_WORDS_OF_A_SENTENCE = 5


def shorten(text: str, characters: int) -> str:
    """The text on one line, cut to this many characters; what cannot be shown is replaced."""
    line = "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text[: characters * 4].split()))
    return line if len(line) <= characters else line[: characters - 1] + "…"


def list_names(names: Iterable[str], characters: int = 120) -> str:
    """The first names and how many others there are."""
    listed = list(names)
    shown: list[str] = []
    for name in listed[:_NAMES]:
        # Of blanks at the ends, quotes tell.
        short = shorten(name, 30) if name == name.strip() else repr(name[:30])
        if shown and len(", ".join([*shown, short])) > characters:
            break
        shown.append(short)
    others = len(listed) - len(shown)
    return ", ".join(shown) + (f" and {others} others" if others else "")


def looks_like_data(names: Sequence[str]) -> bool:
    """Whether names of columns look like cells of a row: a number, a sentence, or a long text."""
    counted = [name for name in names if name]
    # pandas numbers columns that have no name.
    if [name for name in counted if name.isdigit()] == [str(index) for index in range(len(counted))]:
        return False
    return any(_is_number(name) or len(name.split()) >= _WORDS_OF_A_SENTENCE or len(name) > 60 for name in counted)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in ("nan", "inf", "infinity")
