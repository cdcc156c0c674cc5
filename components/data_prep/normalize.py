"""Normalizes texts, so that different spellings compare equal."""

import unicodedata

# Words that tools and people write in place of a missing value, normalized.
MISSING_WORDS = frozenset(
    ["", "nan", "none", "null", "nil", "n/a", "na", "<na>", "#n/a", "nat", "-", "--", "?", "missing", "undefined"]
)


def normalize_text(text: str) -> str:
    """Removes whitespace and the differences of case and Unicode form."""
    if text.isascii():
        # The same result in a fraction of the time.
        return "".join(text.lower().split())
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
