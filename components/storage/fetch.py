"""Brings what a URI names to this machine."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from compaware.components.core.errors import UserError

SCHEMES = ("file", "s3", "minio")


def is_uri(source: str) -> bool:
    """True for `scheme://…`, whatever the scheme."""
    return "://" in source


def local_source(source: str, cache_dir: Path) -> str:
    """A local path for a URI; anything else (a path, a hub id) as it is.

    Raises:
        UserError: As `fetch`.
    """
    return str(fetch(source, cache_dir)) if is_uri(source) else source


def fetch(uri: str, cache_dir: Path) -> Path:
    """Gives the local path of a file or folder, downloading it first where it lies in an object store.

    Args:
        uri: A path, `file:///path`, `s3://bucket/key` or `minio://bucket/key`; a key may name one object or, like a
            folder, all objects below it.
        cache_dir: Where downloads are put; created when needed.

    Raises:
        UserError: The scheme is unknown, or there is nothing at the URI, or it cannot be reached.
    """
    if not is_uri(uri):
        return _existing(Path(uri).expanduser(), uri)
    scheme, _, rest = uri.partition("://")
    if scheme == "file":
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost"):
            raise UserError(f"{uri} names the host '{parts.netloc}': a file URI has three slashes, file:///folder")
        return _existing(Path(unquote(parts.path)), uri)
    if scheme not in SCHEMES:
        raise UserError(f"cannot read {uri}: choose a path or one of {', '.join(f'{name}://' for name in SCHEMES)}")
    bucket, _, key = rest.partition("/")
    if not bucket or not key.strip("/"):
        raise UserError(f"{uri} is not whole: write {scheme}://BUCKET/KEY")
    from compaware.components.storage.object_store import download

    return download(uri, bucket, key.strip("/"), cache_dir)


def _existing(path: Path, uri: str) -> Path:
    if not path.exists():
        raise UserError(f"there is no file or folder {uri}")
    return path
