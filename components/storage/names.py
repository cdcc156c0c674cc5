"""Replaces the paths of local copies by their URIs, so that messages name the URI and not the cache."""

from pathlib import Path

_uris: dict[str, str] = {}


def record_uri(path: Path, uri: str) -> None:
    """Records the URI of a local copy."""
    _uris[str(path)] = uri


def show_uris(text: str) -> str:
    """Returns a text with the paths of local copies replaced by their URIs."""
    for path in sorted(_uris, key=len, reverse=True):
        text = text.replace(path, _uris[path])
    return text
