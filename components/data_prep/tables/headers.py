"""Tells a header from a first row of data."""

from collections.abc import Sequence

_WORDS_OF_A_SENTENCE = 5
_MAX_NAME_CHARACTERS = 60


def looks_like_data(names: Sequence[str]) -> bool:
    """Whether some column name looks like a cell of a row: a number, a sentence or a long text."""
    filled = [name for name in names if name]
    # pandas numbers columns that have no name.
    if [name for name in filled if name.isdigit()] == [str(index) for index in range(len(filled))]:
        return False
    return any(
        _is_number(name) or len(name.split()) >= _WORDS_OF_A_SENTENCE or len(name) > _MAX_NAME_CHARACTERS
        for name in filled
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in ("nan", "inf", "infinity")
