"""Downloads objects in parallel ranges, resumes after a kill, and verifies the complete files."""

import functools
import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minio.error import S3Error
from urllib3 import BaseHTTPResponse

from compaware.components.core.base.files import remove
from compaware.components.core.base.hashing import sha256_of, short_hash
from compaware.components.storage.cache import Download
from compaware.components.storage.store import NotAllowedError, Store
from compaware.components.storage.upload_manifest import (
    SHA256_METADATA,
    UploadManifest,
    incomplete_error,
    path_inside,
)

log = logging.getLogger(__name__)

RANGE_BYTES = 8 * 2**20
_CHUNK_BYTES = 2**18


@dataclass(frozen=True)
class RemoteFile:
    """An object to download.

    Attributes:
        key: Its key.
        name: Its path below the target folder; empty if the target is the file itself.
        size: Its size in bytes.
        etag: Its ETag, which changes with the content.
        sha256: The expected SHA-256; None if unknown.
    """

    key: str
    name: str
    size: int
    etag: str
    sha256: str | None


def find_download(store: Store, require_manifest: bool) -> Download:
    """Returns what is at the location, with as few requests as it takes to look it up in the cache.

    Raises:
        UserError: There is nothing, or it is incomplete.
    """
    location, item = store.location, None
    name = location.key.rpartition("/")[2]
    try:
        content = store.manifest_bytes()
    except NotAllowedError:
        # Without the right to list, a manifest that does not exist is refused too. A single file may be readable.
        content, item = None, _single_object(store)
        if item is None:
            raise
    if content:
        manifest = UploadManifest.read(content, location.shown)

        def fill(target: Path, parts: Path) -> None:
            download(store, _files_of(store, manifest), target, parts)

        return Download(store.source, content.decode("utf-8"), name, manifest.size_bytes, fill)
    item = item or _single_object(store)
    if item is not None:
        sha256 = item.metadata.get(SHA256_METADATA)
        if require_manifest and sha256 is None:
            raise store.error("the file has no checksum, so no component uploaded it: upload it again")
        files = [RemoteFile(item.object_name, "", item.size, item.etag, sha256)]
    else:
        objects = store.list_below()
        if require_manifest or content is not None:
            raise incomplete_error(location.shown)
        if not objects:
            raise store.error("the bucket has no object with that key, nor below it: check the URI")
        files = [RemoteFile(entry.object_name, key, entry.size, entry.etag, None) for key, entry in objects.items()]
    listing = json.dumps([(file.name, file.etag, file.size) for file in files])
    size = sum(file.size for file in files)
    return Download(store.source, listing, name, size, functools.partial(download, store, files))


def _single_object(store: Store) -> Any | None:
    return None if store.location.is_folder else store.stat(store.location.key)


def _files_of(store: Store, manifest: UploadManifest) -> list[RemoteFile]:
    try:
        objects = store.list_below()
    except NotAllowedError:
        objects = {entry.name: store.stat(store.location.below(entry.name)) for entry in manifest.files}
    files = []
    for entry in manifest.files:
        item = objects.get(entry.name)
        if item is None:
            raise store.error(f"{entry.name} is missing, although the manifest lists it: upload it again")
        if item.size != entry.size:
            raise store.error(
                f"{entry.name} is truncated or changed ({item.size} bytes, not {entry.size}): upload it again"
            )
        files.append(RemoteFile(item.object_name, entry.name, entry.size, item.etag, entry.sha256))
    return files


def download(store: Store, files: list[RemoteFile], target: Path, parts: Path) -> None:
    """Downloads files to `target`; partial files are kept in `parts`.

    Raises:
        UserError: As `Store.call`, or a file has not the expected SHA-256.
    """
    parts.mkdir(parents=True, exist_ok=True)
    incoming = [_Incoming(store, file, target, parts) for file in files]
    store.run_all(task for file in incoming for task in file.missing_ranges())
    store.run_all(file.finish for file in incoming)


class _Incoming:
    """One file being downloaded: its data, and a journal of the ranges written so far."""

    def __init__(self, store: Store, file: RemoteFile, target: Path, parts: Path):
        self._store = store
        self._file = file
        self._final = path_inside(target, file.name, store.location.shown) if file.name else target
        # The name contains the ETag, because ranges of an older object must not be reused.
        stem = f"{short_hash(file.key)}-{short_hash(file.etag)}"
        self._data = parts / f"{stem}.part"
        self._journal = parts / f"{stem}.done"
        self._lock = threading.Lock()

    def missing_ranges(self) -> list[Callable[[], None]]:
        """Returns a task for each range that is not downloaded yet."""
        if self._final.is_file():
            return []  # An earlier fetch finished it.
        self._data.touch()
        os.truncate(self._data, self._file.size)
        # A kill may have cut off the last line.
        done = self._journal.read_text(encoding="utf-8").split("\n")[:-1] if self._journal.exists() else []
        starts = range(0, self._file.size, RANGE_BYTES)
        if done:
            log.info("%s: resuming the download, %d of %d ranges are done", self._final.name, len(done), len(starts))
        return [functools.partial(self._fetch_range, start) for start in starts if str(start) not in done]

    def finish(self) -> None:
        """Verifies the complete file and moves it to its final path."""
        if not self._data.exists():
            return
        if self._file.sha256 and sha256_of(self._data) != self._file.sha256:
            remove(self._journal)
            remove(self._data)
            raise self._store.error(
                f"{self._file.key} is corrupt (its SHA-256 differs from the uploaded one): run again, and upload it "
                "again if that does not help"
            )
        self._final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self._data, self._final)
        remove(self._journal)

    def _fetch_range(self, start: int) -> None:
        position, end = start, min(start + RANGE_BYTES, self._file.size)

        def _get_object() -> None:
            nonlocal position
            with self._open(position, end) as response, self._data.open("r+b") as data:
                data.seek(position)
                for chunk in response.stream(_CHUNK_BYTES, decode_content=False):
                    data.write(chunk)
                    position += len(chunk)  # A retry goes on here, so each brings the range nearer to its end.
                    self._store.progressed()

        self._store.call(_get_object)
        with self._lock, self._journal.open("a", encoding="utf-8") as journal:
            journal.write(f"{start}\n")

    def _open(self, start: int, end: int) -> BaseHTTPResponse:
        """Requests a range of the object; checks before the first byte that it is this range of this object."""
        if_match = {"If-Match": f'"{self._file.etag}"'}
        request = functools.partial(
            self._store.client.get_object, self._store.bucket, self._file.key, start, end - start
        )
        try:
            response = request(request_headers=if_match)
        except S3Error as error:
            if error.code != "NotImplemented":
                raise
            response = request()
        etag, size = response.headers.get("ETag", if_match["If-Match"]), response.headers.get("Content-Length")
        if etag.removeprefix("W/").strip('"') != self._file.etag:
            problem = "was replaced during the download: run again"
        elif size is not None and int(size) != end - start:
            problem = f"has {size} bytes in the store's answer, not {end - start}: the store must answer range requests"
        else:
            return response
        response.close()
        raise self._store.error(f"{self._file.key} {problem}")
