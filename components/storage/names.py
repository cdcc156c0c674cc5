"""What people call the local copies of what lies behind URIs: an error names the URI, not a folder of the cache."""

from pathlib import Path

_uris: dict[str, str] = {}


def record_uri(path: Path, uri: str) -> None:
    """Notes that a path here stands for a URI."""
    _uris[str(path)] = uri


def show_uris(text: str) -> str:
    """A text in which the URIs stand in the place of their copies' paths."""
    for path in sorted(_uris, key=len, reverse=True):
        text = text.replace(path, _uris[path])
    return text
