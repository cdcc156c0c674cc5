"""Looks at files and folders by URI: whether they exist, what they contain, and what one small file holds."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.hashing import sha256_of
from compaware.components.storage.disk import check_path, disk_errors
from compaware.components.storage.upload_manifest import (
    MANIFEST_NAME,
    FileEntry,
    UploadManifest,
    build_manifest,
    incomplete_error,
    load_manifest,
)
from compaware.components.storage.uri import Location, join, parse, shown

# The object store client is imported only where it is used, because paths work without it.
if TYPE_CHECKING:
    from compaware.components.storage.store import Store


def exists(uri: str) -> bool:
    """Whether a file, or a folder with its manifest, is at a URI.

    Raises:
        UserError: Access is denied.
        UnavailableError: The store does not answer.
    """
    location = parse(uri)
    if isinstance(location, Path):
        with disk_errors(location):
            return location.is_file() or (not is_empty(uri) and load_manifest(location) is not None)
    from compaware.components.storage.store import Store

    return _exists_in(Store(location, "read"))


def is_empty(uri: str) -> bool:
    """Whether a URI has no file and no folder with files; a manifest alone, which is hidden, does not count.

    Raises:
        UserError: Access is denied.
        UnavailableError: The store does not answer.
    """
    location = parse(uri)
    if isinstance(location, Path):
        with disk_errors(location):
            names = (entry.name for entry in location.iterdir()) if location.is_dir() else [location.name]
            return not location.exists() or not any(name != MANIFEST_NAME for name in names)
    from compaware.components.storage.store import Store

    store = Store(location, "read")
    return not _exists_in(store) and not store.list_below()


def _exists_in(store: "Store") -> bool:
    from compaware.components.storage.store import NotAllowedError

    location = store.location
    try:
        if store.manifest() is not None:
            return True
    except NotAllowedError:
        # Without the right to list, a manifest that does not exist is refused too. A single file may be readable.
        if location.is_folder or store.stat(location.key) is None:
            raise
        return True
    return not location.is_folder and store.stat(location.key) is not None


def has_unfinished_upload(uri: str) -> bool:
    """Whether an upload of a component was interrupted at a URI.

    Raises:
        UserError: Access is denied.
        UnavailableError: The store does not answer.
    """
    location = parse(uri)
    if isinstance(location, Path):
        return False
    from compaware.components.storage.store import Store

    return Store(location, "read").manifest_bytes() == b""


def read_text(uri: str, name: str, *, address_works: bool = False) -> str:
    """Reads one small file of a complete folder.

    Args:
        uri: The folder.
        name: The file's path in it.
        address_works: The store has answered another process. If it does not answer now, retry for as long as if it
            had answered this process.

    Raises:
        UserError: The folder is incomplete, has no such file, or the file is corrupt.
        UnavailableError: The store does not answer.
    """
    location = parse(uri)
    if isinstance(location, Path):
        with disk_errors(location):
            entry = _entry(load_manifest(location), name, uri)
            content = (location / name).read_bytes()
    else:
        from compaware.components.storage.store import Store

        store = Store(location, "read", address_works=address_works)
        entry = _entry(store.manifest(), name, location.shown)
        content = store.read(location.below(name))
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise UserError(f"{name} of {shown(location)} is corrupt (its SHA-256 differs): upload it again")
    return content.decode("utf-8")


def fingerprint(uri: str) -> str:
    """Returns a SHA-256 that changes with the content: of the files on a disk, of sizes and ETags in a store.

    Raises:
        UserError: The URI does not exist, or access is denied.
        UnavailableError: The store does not answer.
    """
    location = parse(uri)
    if isinstance(location, Path):
        with disk_errors(location):
            source = check_path(location, uri, require_manifest=False)
            content = sha256_of(source) if source.is_file() else build_manifest(source).to_json()
    else:
        from compaware.components.storage.downloads import find_download
        from compaware.components.storage.store import Store

        content = find_download(Store(location, "read"), require_manifest=False).content
    return hashlib.sha256(content.encode("utf-8")).hexdigest()


def find(uri: str, name: str) -> list[str]:
    """Finds all files of a name below a folder, such as one output of all tasks of a run.

    Args:
        uri: The folder; it needs no manifest.
        name: The files' name.

    Returns:
        Their URIs, oldest first; empty if the folder does not exist.

    Raises:
        UserError: Access is denied.
        UnavailableError: The store does not answer.
    """
    location = parse(uri)
    if isinstance(location, Path):
        with disk_errors(location):
            files = [file for file in location.rglob(name) if file.is_file()]
            return [str(file) for file in sorted(files, key=lambda file: file.stat().st_mtime)]
    from compaware.components.storage.store import Store

    objects = Store(location, "read").list_below()
    dated = sorted((item.last_modified, key) for key, item in objects.items() if key.rpartition("/")[2] == name)
    return [join(uri, key) for _, key in dated if _means(join(uri, key), location.below(key))]


def _means(uri: str, key: str) -> bool:
    """Whether a URI is that of a key, whose end may look like a URI's parameters."""
    try:
        location = parse(uri)
    except UserError:
        return False
    return isinstance(location, Location) and location.key == key


def _entry(manifest: UploadManifest | None, name: str, shown: str) -> FileEntry:
    if manifest is None:
        raise incomplete_error(shown)
    entry = manifest.entry(name)
    if entry is None:
        raise UserError(f"{shown} has no file {name}: check that it is the output of a component")
    return entry
