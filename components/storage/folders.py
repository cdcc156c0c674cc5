"""Fetches, uploads and deletes files and folders by URI.

The object store client is imported only where it is used, because paths work without it.
"""

import logging
import time
from pathlib import Path

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import remove, size_bytes
from compaware.components.storage.disk import check_path, copy_verified, disk_errors
from compaware.components.storage.names import record_uri
from compaware.components.storage.upload_manifest import MANIFEST_NAME
from compaware.components.storage.uri import is_uri, parse, shown

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
            return check_path(location, uri, require_manifest)
    from compaware.components.storage.cache import Cache
    from compaware.components.storage.downloads import find_download
    from compaware.components.storage.store import Store

    with disk_errors(cache_dir):
        path = Cache(cache_dir).get(find_download(Store(location, "read"), require_manifest))
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
            copy_verified(folder, location)
    else:
        from compaware.components.storage.store import Store
        from compaware.components.storage.uploads import upload_file, upload_folder

        if location.is_folder and folder.is_file():
            raise UserError(f"{location.shown} is a folder, and {folder} is a file: add the file's name to the URI")
        store = Store(location, "write")
        with disk_errors(folder):
            (upload_folder if folder.is_dir() else upload_file)(store, folder)
    log.info("uploaded %s, %d bytes, in %.1f s", shown(location), size_bytes(folder), time.monotonic() - started)


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
    # Only what exists: in a bucket with versions, deleting anything else adds a marker.
    keys, manifest_key = store.keys_below(), location.below(MANIFEST_NAME)
    store.remove([key for key in keys if key == manifest_key])
    store.remove([key for key in keys if key != manifest_key])
    abort_unfinished(store, location.below(""))
    if not location.is_folder and store.stat(location.key) is not None:
        store.remove([location.key])


def discard(uri: str) -> None:
    """Deletes a file or folder that is not needed any more; logs a warning if the credentials have no right to it.

    Raises:
        UserError: The URI is invalid.
        UnavailableError: The store does not answer.
    """
    if isinstance(parse(uri), Path):
        delete(uri)
        return
    from compaware.components.storage.store import NotAllowedError

    try:
        delete(uri)
    except NotAllowedError as error:
        log.warning("%s stays: %s", uri.partition("?")[0], error)
