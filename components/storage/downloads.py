"""Downloads objects in parallel ranges, resumes after a kill, and verifies the complete files."""

import functools
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compaware.components.core.base.files import remove
from compaware.components.core.base.hashing import sha256_of, short_hash
from compaware.components.storage.store import Store
from compaware.components.storage.upload_manifest import UploadManifest, path_inside

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


def files_of(store: Store, manifest: UploadManifest) -> list[RemoteFile]:
    """Returns the objects listed in a manifest.

    Raises:
        UserError: An object is missing or has another size.
    """
    objects = store.list_below()
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
        self._store.call(self._read_range, start)
        with self._lock, self._journal.open("a", encoding="utf-8") as journal:
            journal.write(f"{start}\n")

    def _read_range(self, start: int) -> None:
        length = min(RANGE_BYTES, self._file.size - start)
        response = self._store.client.get_object(
            self._store.bucket,
            self._file.key,
            offset=start,
            length=length,
            request_headers={"If-Match": f'"{self._file.etag}"'},
        )
        with response, self._data.open("r+b") as data:
            data.seek(start)
            for chunk in response.stream(_CHUNK_BYTES):
                data.write(chunk)
                self._store.progressed()
            if data.tell() != start + length:
                raise self._store.error(f"the store sent too few or too many bytes of {self._file.key}: run again")
