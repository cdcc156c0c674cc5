"""Uploads files in parallel parts and skips parts that the store already has."""

import functools
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minio.datatypes import Part

from compaware.components.storage.store import NotThereError, Store
from compaware.components.storage.upload_manifest import (
    MANIFEST_NAME,
    UPLOAD_MARK,
    FileEntry,
    UploadManifest,
    list_files,
)

log = logging.getLogger(__name__)

SHA256_METADATA = "x-amz-meta-sha256"
_PART_BYTES = 8 * 2**20
_MAX_PARTS = 10_000


@dataclass(frozen=True)
class _LocalFile:
    """A file to upload.

    Attributes:
        path: Its path.
        entry: Its name, size and SHA-256.
        part_bytes: Size of all its parts but the last.
        part_md5s: MD5 of each part, which stores use as the part's ETag.
    """

    path: Path
    entry: FileEntry
    part_bytes: int
    part_md5s: list[str]

    @property
    def etag(self) -> str:
        """The object's ETag in a store without encryption."""
        if len(self.part_md5s) == 1:
            return self.part_md5s[0]
        joined = b"".join(bytes.fromhex(md5) for md5 in self.part_md5s)
        return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(self.part_md5s)}"


def upload_folder(store: Store, folder: Path) -> UploadManifest:
    """Uploads all files of a folder, the manifest last.

    An existing folder is replaced: its manifest is deleted first, and files that the new folder lacks are deleted after
    the upload.

    Raises:
        UserError: As `Store.call`, or the folder is empty or changes during the upload.
    """
    paths = list_files(folder)
    if not paths:
        raise store.error(f"{folder} has no files")
    manifest_key = store.location.below(MANIFEST_NAME)
    store.remove([manifest_key])
    mark = store.location.below(UPLOAD_MARK)
    store.call(store.client._put_object, store.bucket, mark, b"", {})
    files = [_hash_file(path, name) for name, path in paths.items()]
    present = store.list_below()
    uploads = [_Upload(store, file, store.location.below(file.entry.name)) for file in files]
    changed = [upload for upload in uploads if not _is_same(upload.file, present.get(upload.file.entry.name))]
    _upload_all(store, changed)
    store.remove([present[name].object_name for name in present if name not in paths])
    manifest = UploadManifest(files=[file.entry for file in files])
    _check(store, manifest)
    content = manifest.to_json().encode()
    store.call(store.client._put_object, store.bucket, manifest_key, content, {"Content-Type": "application/json"})
    store.remove([mark])
    return manifest


def upload_file(store: Store, path: Path) -> FileEntry:
    """Uploads one file with its SHA-256 as metadata; the object appears only when it is complete.

    Raises:
        UserError: As `Store.call`, or the file changes during the upload.
    """
    file = _hash_file(path, path.name)
    # Not resumed: metadata is set when an upload begins, and the store does not return that of an unfinished upload.
    headers = {SHA256_METADATA: file.entry.sha256}
    _upload_all(store, [_Upload(store, file, store.location.key, headers, may_resume=False)])
    return file.entry


def abort_unfinished(store: Store, keys_begin_with: str) -> None:
    """Deletes the parts of unfinished uploads."""
    for upload in _unfinished(store, keys_begin_with):
        _abort(store, upload)


def _upload_all(store: Store, uploads: list["_Upload"]) -> None:
    store.run_all(upload.begin for upload in uploads)
    store.run_all(task for upload in uploads for task in upload.missing_parts())
    store.run_all(upload.complete for upload in uploads)


def _check(store: Store, manifest: UploadManifest) -> None:
    """Checks that the store has all files in full, before the manifest is written."""
    present = store.list_below()
    for entry in manifest.files:
        if entry.name not in present or present[entry.name].size != entry.size:
            raise store.error(
                f"{entry.name} is incomplete in the store: check that nothing else writes there, and upload it again"
            )


def _is_same(file: _LocalFile, item: Any | None) -> bool:
    return item is not None and item.size == file.entry.size and item.etag == file.etag


def _hash_file(path: Path, name: str) -> _LocalFile:
    """Reads a file once and returns its size, its SHA-256 and the MD5 of its parts."""
    size = path.stat().st_size
    part_bytes = max(_PART_BYTES, -(-size // _MAX_PARTS))
    sha256, read_bytes = hashlib.sha256(), 0
    part_md5s: list[str] = []
    with path.open("rb") as stream:
        while (data := stream.read(part_bytes)) or not part_md5s:
            sha256.update(data)
            part_md5s.append(_md5(data))
            read_bytes += len(data)
    return _LocalFile(path, FileEntry(name=name, size=read_bytes, sha256=sha256.hexdigest()), part_bytes, part_md5s)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@dataclass
class _Upload:
    """One file being uploaded; call `begin`, run all of `missing_parts`, then call `complete`."""

    store: Store
    file: _LocalFile
    key: str
    headers: dict[str, str] = field(default_factory=dict)
    may_resume: bool = True
    _upload_id: str = ""
    _etags: dict[int, str] = field(default_factory=dict)

    @property
    def _has_one_part(self) -> bool:
        return len(self.file.part_md5s) == 1

    def begin(self) -> None:
        """Resumes the unfinished upload of this key, or begins a new one."""
        if self._has_one_part:
            return
        unfinished = [item for item in _unfinished(self.store, self.key) if item.object_name == self.key]
        unfinished.sort(key=lambda item: item.initiated_time)
        resumed = unfinished.pop() if unfinished and self.may_resume else None
        for item in unfinished:
            _abort(self.store, item)
        if resumed is not None:
            self._upload_id = resumed.upload_id
            self._etags = self._uploaded_parts()
            log.info(
                "%s: resuming the upload, %d of %d parts are done", self.key, len(self._etags), len(self.file.part_md5s)
            )
            return
        self._upload_id = self.store.call(
            self.store.client._create_multipart_upload, self.store.bucket, self.key, dict(self.headers)
        )

    def missing_parts(self) -> list[Callable[[], None]]:
        """Returns a task for each part that the store does not have."""
        numbers = range(1, len(self.file.part_md5s) + 1)
        return [functools.partial(self._upload_part, number) for number in numbers if number not in self._etags]

    def complete(self) -> None:
        """Joins the parts to one object."""
        if self._has_one_part:
            return
        parts = [Part(number, etag) for number, etag in sorted(self._etags.items())]
        try:
            self.store.call(
                self.store.client._complete_multipart_upload, self.store.bucket, self.key, self._upload_id, parts
            )
        except NotThereError:
            # If the answer to the first request was lost, a retry finds the object instead of the upload.
            if not _is_same(self.file, self.store.stat(self.key)):
                raise

    def _upload_part(self, number: int) -> None:
        with self.file.path.open("rb") as stream:
            stream.seek((number - 1) * self.file.part_bytes)
            data = stream.read(self.file.part_bytes)
        if _md5(data) != self.file.part_md5s[number - 1]:
            raise self.store.error(
                f"{self.file.path} was changed during the upload: upload it again when it is complete"
            )
        client, bucket = self.store.client, self.store.bucket
        if self._has_one_part:
            self.store.call(client._put_object, bucket, self.key, data, dict(self.headers))
        else:
            self._etags[number] = self.store.call(
                client._upload_part, bucket, self.key, data, None, self._upload_id, number
            )

    def _uploaded_parts(self) -> dict[int, str]:
        """Returns the ETags of the parts that the store has and that match this file, by number."""
        etags: dict[int, str] = {}
        marker: str | None = None
        expected = dict(enumerate(self.file.part_md5s, start=1))
        while True:
            page = self.store.call(
                self.store.client._list_parts,
                self.store.bucket,
                self.key,
                self._upload_id,
                part_number_marker=marker,
            )
            etags |= {part.part_number: part.etag for part in page.parts if expected.get(part.part_number) == part.etag}
            if not page.is_truncated:
                return etags
            marker = page.next_part_number_marker


def _unfinished(store: Store, prefix: str) -> list[Any]:
    """Returns minio's `Upload`s of all keys with a prefix."""
    uploads: list[Any] = []
    key_marker = upload_id_marker = None
    while True:
        page = store.call(
            store.client._list_multipart_uploads,
            store.bucket,
            prefix=prefix,
            key_marker=key_marker,
            upload_id_marker=upload_id_marker,
        )
        uploads += page.uploads
        if not page.is_truncated:
            return uploads
        key_marker, upload_id_marker = page.next_key_marker, page.next_upload_id_marker


def _abort(store: Store, upload: Any) -> None:
    try:
        store.call(store.client._abort_multipart_upload, store.bucket, upload.object_name, upload.upload_id)
    except NotThereError:
        log.info("the unfinished upload of %s was deleted already", upload.object_name)
