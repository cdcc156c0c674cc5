"""Fetches, uploads, checks and deletes files and folders by URI."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import move_replacing, remove, size_bytes
from compaware.components.core.base.hashing import sha256_of
from compaware.components.storage.names import record_uri
from compaware.components.storage.upload_manifest import (
    MANIFEST_NAME,
    UPLOAD_MARK,
    FileEntry,
    UploadManifest,
    build_manifest,
    list_files,
    load_manifest,
    verify_folder,
    write_manifest,
)
from compaware.components.storage.uri import Location, is_uri, parse

# The object store client is imported only where it is used, because paths work without it.
if TYPE_CHECKING:
    from compaware.components.storage.cache import Download
    from compaware.components.storage.store import Store

log = logging.getLogger(__name__)


def local_source(source: str, cache_dir: Path) -> str:
    """Fetches a URI and returns its local path; returns anything else (a path, a hub id) unchanged.

    Raises:
        UserError: As `fetch`.
    """
    return str(fetch(source, cache_dir)) if is_uri(source) else source


def fetch(uri: str, cache_dir: Path, require_manifest: bool = False) -> Path:
    """Returns the local path of a file or folder; downloads it if it is in an object store.

    Downloads are cached in `cache_dir` and shared with other processes until the content of the URI changes. Do not
    modify the returned file or folder.

    Args:
        uri: A path, `file:///path`, `s3://bucket/key` or `minio://bucket/key`; a key is one object or, like a folder,
            all objects below it.
        cache_dir: Folder for downloads; created if needed.
        require_manifest: Reject a folder without the manifest, and a file without the checksum, that `upload` writes.
            Set it for outputs of components.

    Raises:
        UserError: The URI does not exist, is incomplete or corrupt, access is denied, or the disk is full.
        UnavailableError: The store does not answer.
    """
    location = parse(uri)
    if isinstance(location, Path):
        with disk_errors(location):
            return _fetch_path(location, uri, require_manifest)
    from compaware.components.storage.cache import Cache
    from compaware.components.storage.store import Store

    with disk_errors(cache_dir):
        path = Cache(cache_dir).get(_find_download(Store(location, "read"), require_manifest))
    record_uri(path, location.shown)
    return path


def upload(folder: Path, uri: str) -> None:
    """Uploads a folder or a file and replaces what is at the URI; a folder counts only once all its files are uploaded.

    Args:
        folder: The folder or file; symbolic links are followed.
        uri: A path, `file:///path`, `s3://bucket/key` or `minio://bucket/key`.

    Raises:
        UserError: There is nothing to upload, or the URI cannot be written.
        UnavailableError: The store does not answer.
    """
    if not folder.exists():
        raise UserError(f"cannot upload {folder}: there is no such file or folder")
    location = parse(uri)
    started = time.monotonic()
    if isinstance(location, Path):
        with disk_errors(location):
            _copy(folder, location)
    else:
        from compaware.components.storage.store import Store
        from compaware.components.storage.uploads import upload_file, upload_folder

        store = Store(location, "write")
        with disk_errors(folder):
            (upload_folder if folder.is_dir() else upload_file)(store, folder)
    log.info("uploaded %s, %d bytes, in %.1f s", _shown(location), size_bytes(folder), time.monotonic() - started)


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
    location = store.location
    return store.manifest() is not None or (not location.is_folder and store.stat(location.key) is not None)


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

    return Store(location, "read").stat(location.below(UPLOAD_MARK)) is not None


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
        raise UserError(f"{name} of {_shown(location)} is corrupt (its SHA-256 differs): upload it again")
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
            source = _fetch_path(location, uri, require_manifest=False)
            content = sha256_of(source) if source.is_file() else build_manifest(source).to_json()
    else:
        from compaware.components.storage.store import Store

        content = _find_download(Store(location, "read"), require_manifest=False).content
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
    base, mark, parameters = uri.partition("?")
    base = base.rstrip("/")
    if isinstance(location, Path):
        with disk_errors(location):
            files = [file for file in location.rglob(name) if file.is_file()]
            return [str(file) for file in sorted(files, key=lambda file: file.stat().st_mtime)]
    from compaware.components.storage.store import Store

    objects = Store(location, "read").list_below()
    dated_keys = [(item.last_modified, key) for key, item in objects.items() if key.rpartition("/")[2] == name]
    return [f"{base}/{key}{mark}{parameters}" for _, key in sorted(dated_keys)]


def delete(uri: str) -> None:
    """Deletes a file or folder; deletes a folder's manifest first, so that a partly deleted folder is incomplete.

    Raises:
        UserError: Access is denied.
        UnavailableError: The store does not answer.
    """
    location = parse(uri)
    if isinstance(location, Path):
        with disk_errors(location):
            if location.is_dir():
                remove(location / MANIFEST_NAME)
            remove(location)
        return
    from compaware.components.storage.store import Store
    from compaware.components.storage.uploads import abort_unfinished

    store = Store(location, "delete")
    store.remove([location.below(MANIFEST_NAME)])
    store.remove([item.object_name for item in store.list_below().values()])
    abort_unfinished(store, location.below(""))
    if not location.is_folder:
        store.remove([location.key])


def _fetch_path(path: Path, uri: str, require_manifest: bool) -> Path:
    if not path.exists():
        raise UserError(f"there is no file or folder {uri}: check the path")
    if require_manifest and path.is_dir():
        manifest = load_manifest(path)
        if manifest is None:
            raise _incomplete(uri)
        verify_folder(path, manifest)
    return path


def _find_download(store: "Store", require_manifest: bool) -> "Download":
    """Returns what is at the location, with as few requests as it takes to look it up in the cache."""
    from compaware.components.storage.cache import Download
    from compaware.components.storage.downloads import RemoteFile, download, files_of
    from compaware.components.storage.uploads import SHA256_METADATA

    location = store.location
    name = location.key.rpartition("/")[2]
    content = store.manifest_bytes()
    if content is not None:
        manifest = UploadManifest.read(content, location.shown)

        def fill(target: Path, parts: Path) -> None:
            download(store, files_of(store, manifest), target, parts)

        return Download(store.source, content.decode("utf-8"), name, manifest.size_bytes, fill)
    item = None if location.is_folder else store.stat(location.key)
    if item is not None:
        sha256 = item.metadata.get(SHA256_METADATA)
        if require_manifest and sha256 is None:
            raise store.error("the file has no checksum, so no component uploaded it: upload it again")
        files = [RemoteFile(item.object_name, "", item.size, item.etag, sha256)]
    else:
        objects = store.list_below()
        if require_manifest:
            raise _incomplete(location.shown)
        if not objects:
            raise store.error("the bucket has no object with that key, nor below it: check the URI")
        files = [RemoteFile(entry.object_name, key, entry.size, entry.etag, None) for key, entry in objects.items()]
    listing = json.dumps([(file.name, file.etag, file.size) for file in files])
    size = sum(file.size for file in files)
    return Download(store.source, listing, name, size, partial(download, store, files))


def _copy(source: Path, destination: Path) -> None:
    """Copies next to the destination, verifies the copy, and renames it."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    staged = destination.with_name(f".{destination.name}.copy")
    remove(staged)
    if source.is_file():
        shutil.copyfile(source, staged)
        if sha256_of(staged) != sha256_of(source):
            raise UserError(f"cannot write {destination}: the copy differs from {source}; upload it again")
    else:
        if not list_files(source):
            raise UserError(f"cannot write {destination}: {source} has no files")
        manifest = build_manifest(source)
        shutil.copytree(source, staged, ignore=shutil.ignore_patterns(MANIFEST_NAME))
        verify_folder(staged, manifest)
        write_manifest(staged, manifest)
    # A folder that is being replaced must not look complete.
    if destination.is_dir():
        remove(destination / MANIFEST_NAME)
    move_replacing(staged, destination)


def _entry(manifest: UploadManifest | None, name: str, shown: str) -> FileEntry:
    if manifest is None:
        raise _incomplete(shown)
    entry = manifest.entry(name)
    if entry is None:
        raise UserError(f"{shown} has no file {name}: check that it is the output of a component")
    return entry


def _incomplete(shown: str) -> UserError:
    return UserError(
        f"{shown} is not complete: it has no {MANIFEST_NAME}, which is written last; wait for the upload or repeat it"
    )


def _shown(location: Path | Location) -> str:
    return str(location) if isinstance(location, Path) else location.shown


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns an OSError of the local disk into a UserError."""
    try:
        yield
    except OSError as error:
        file = error.filename or path
        raise UserError(f"cannot use {file}: {error.strerror or error}; fix that or choose another path") from error
