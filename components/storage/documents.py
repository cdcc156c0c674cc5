"""Small files that several runs replace at the same time: a run replaces only the content that it has read."""

import fcntl
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compaware.components.core.base.files import write_text
from compaware.components.storage.disk import disk_errors
from compaware.components.storage.upload_manifest import SHA256_METADATA
from compaware.components.storage.uri import parse

if TYPE_CHECKING:
    from compaware.components.storage.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Document:
    """A file as it was read.

    Attributes:
        content: Its content; None if there was no file.
        etag: Its ETag in an object store; empty for a path, and if there was no file.
    """

    content: bytes | None = None
    etag: str = ""


def read_document(uri: str) -> Document:
    """Reads a small file.

    Raises:
        UserError: Access is denied.
        UnavailableError: The store does not answer.
    """
    location = parse(uri)
    if isinstance(location, Path):
        with disk_errors(location):
            return Document(location.read_bytes() if location.is_file() else None)
    from compaware.components.storage.store import Store

    return _read(Store(location, "read"))


def replace_document(uri: str, text: str, seen: Document) -> bool:
    """Replaces a file if it has not changed since it was read; returns whether it was replaced.

    On disk, a lock next to the file protects the comparison. In an object store, the request has a condition
    (`If-Match`, or `If-None-Match: *` for a new file). If the store does not implement conditions, the content is read
    again just before it is written, and another run can still write between these two requests.

    Raises:
        UserError: The file cannot be written.
        UnavailableError: The store does not answer.
    """
    location = parse(uri)
    if isinstance(location, Path):
        with disk_errors(location):
            return _replace_path(location, text, seen)
    from compaware.components.storage.store import ChangedError, NoConditionsError, NotThereError, Store

    store, content = Store(location, "write"), text.encode()
    # Ceph up to 16 compares the ETag as it is sent; the other stores accept it without quotes, too.
    condition = {"If-None-Match": "*"} if seen.content is None else {"If-Match": seen.etag}
    try:
        _write(store, content, condition)
    except (ChangedError, NotThereError):
        # The answer to an earlier try of the same request may have been lost.
        return _read(store).content == content
    except NoConditionsError:
        log.warning("%s has no conditional writes: another run may publish there at the same time", location.shown)
        if _read(store) != seen:
            return False
        _write(store, content, {})
    return True


def _replace_path(path: Path, text: str, seen: Document) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if read_document(str(path)) != seen:
            return False
        write_text(path, text)
        return True


def _read(store: "Store") -> Document:
    from compaware.components.storage.store import NotThereError

    def _get_object() -> Document:
        with store.client.get_object(store.bucket, store.location.key) as response:
            return Document(response.read(), response.headers.get("etag", "").strip('"'))

    try:
        return store.call(_get_object)
    except NotThereError:
        return Document()


def _write(store: "Store", content: bytes, headers: dict[str, str]) -> None:
    headers = {**headers, SHA256_METADATA: hashlib.sha256(content).hexdigest(), "Content-Type": "application/json"}
    store.put(store.location.key, content, headers)
