"""Uploads files in parallel parts and skips parts that the store already has."""

import functools
import hashlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minio.datatypes import Part

from compaware.components.storage.store import NotAllowedError, NotThereError, Store
from compaware.components.storage.upload_manifest import (
    MANIFEST_NAME,
    SHA256_METADATA,
    FileEntry,
    UploadManifest,
    list_files,
)

log = logging.getLogger(__name__)

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
        """The object's ETag, unless the store encrypts with keys of its own."""
        return self.part_md5s[0] if len(self.part_md5s) == 1 else _joined_etag(self.part_md5s)


def upload_folder(store: Store, folder: Path) -> UploadManifest:
    """Uploads all files of a folder, the manifest last.

    An existing folder is replaced. Its manifest is emptied first. Files that the new folder does not have are deleted
    after the upload, if that is allowed, so the right to write is enough.

    Raises:
        UserError: As `Store.call`, or the folder is empty or changes during the upload.
    """
    paths = list_files(folder)
    if not paths:
        raise store.error(f"{folder} has no files")
    manifest_key = store.location.below(MANIFEST_NAME)
    present = store.list_below()
    store.put(manifest_key, b"")
    files = [_hash_file(path, name) for name, path in paths.items()]
    uploads = [_Upload(store, file, store.location.below(file.entry.name)) for file in files]
    changed = [upload for upload in uploads if not _is_same(upload.file, present.get(upload.file.entry.name))]
    unfinished = _unfinished(store, store.location.below(""))
    _upload_all(store, changed, unfinished)
    _discard(store, [item.object_name for name, item in present.items() if name not in paths])
    manifest = UploadManifest(files=[file.entry for file in files])
    _check(store, manifest)
    store.put(manifest_key, manifest.to_json().encode(), {"Content-Type": "application/json"})
    return manifest


def upload_file(store: Store, path: Path) -> FileEntry:
    """Uploads one file with its SHA-256 as metadata; the object appears only when it is complete.

    Raises:
        UserError: As `Store.call`, or the file changes during the upload.
    """
    if store.manifest_bytes() is not None:
        raise store.error(
            "a component uploaded a folder there, which would still be used: delete it, or choose another name"
        )
    file = _hash_file(path, path.name)
    # Not resumed: metadata is set when an upload begins, and the store does not return that of an unfinished upload.
    headers = {SHA256_METADATA: file.entry.sha256}
    key = store.location.key
    upload = _Upload(store, file, key, headers, may_resume=False)
    unfinished = [] if upload.has_one_part else _unfinished(store, key)
    _upload_all(store, [upload], [item for item in unfinished if item.object_name == key])
    return file.entry


def abort_unfinished(store: Store, keys_begin_with: str) -> None:
    """Deletes the parts of unfinished uploads."""
    for upload in _unfinished(store, keys_begin_with):
        _abort(store, upload)


def _upload_all(store: Store, uploads: list["_Upload"], unfinished: list[Any]) -> None:
    """Uploads files; resumes their unfinished uploads, and deletes the parts of all others."""
    keys = {upload.key for upload in uploads if not upload.has_one_part}
    for item in unfinished:
        if item.object_name not in keys:
            _abort(store, item)
    by_key = {key: [item for item in unfinished if item.object_name == key] for key in keys}
    store.run_all(functools.partial(upload.begin, by_key.get(upload.key, [])) for upload in uploads)
    store.run_all(task for upload in uploads for task in upload.missing_parts())
    store.run_all(upload.complete for upload in uploads)


def _discard(store: Store, keys: list[str]) -> None:
    """Deletes files of an earlier folder; they are not in the new manifest, so they may stay if that is not allowed."""
    try:
        store.remove(keys)
    except NotAllowedError as error:
        log.warning("%d files of an earlier upload stay: %s", len(keys), error)


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


def _joined_etag(part_etags: list[str]) -> str:
    """Returns the ETag of an object that is joined from parts; empty if theirs are of another kind."""
    if not all(re.fullmatch("[0-9a-f]{32}", etag) for etag in part_etags):
        return ""
    joined = b"".join(bytes.fromhex(etag) for etag in part_etags)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(part_etags)}"


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
    def has_one_part(self) -> bool:
        """Whether one request uploads the file."""
        return len(self.file.part_md5s) == 1

    def begin(self, unfinished: list[Any]) -> None:
        """Resumes the latest unfinished upload of this key, or begins a new one."""
        if self.has_one_part:
            return
        unfinished = sorted(unfinished, key=lambda item: item.initiated_time)
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
        if self.has_one_part:
            return
        parts = [Part(number, etag) for number, etag in sorted(self._etags.items())]
        try:
            self.store.call(
                self.store.client._complete_multipart_upload, self.store.bucket, self.key, self._upload_id, parts
            )
        except NotThereError:
            # If the answer to the first request was lost, a retry finds the object instead of the upload.
            found = self.store.stat(self.key)
            etag = _joined_etag([part.etag for part in parts])
            if found is None or (found.size, found.etag) != (self.file.entry.size, etag):
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
        if self.has_one_part:
            self.store.put(self.key, data, self.headers)
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
            try:
                page = self.store.call(
                    self.store.client._list_parts,
                    self.store.bucket,
                    self.key,
                    self._upload_id,
                    part_number_marker=marker,
                )
            except NotAllowedError as error:
                log.warning("all parts are sent again: %s", error)
                return {}
            etags |= {part.part_number: part.etag for part in page.parts if expected.get(part.part_number) == part.etag}
            if not page.is_truncated:
                return etags
            marker = page.next_part_number_marker


def _unfinished(store: Store, prefix: str) -> list[Any]:
    """Returns minio's `Upload`s of all keys with a prefix; none if the store does not list them."""
    uploads: list[Any] = []
    key_marker = None
    while True:
        try:
            page = store.call(store.client._list_multipart_uploads, store.bucket, prefix=prefix, key_marker=key_marker)
        except NotAllowedError as error:
            log.info("parts of a killed upload may stay until the bucket's lifecycle rule: %s", error)
            return []
        uploads += page.uploads
        if not page.is_truncated:
            return uploads
        key_marker = page.next_key_marker


def _abort(store: Store, upload: Any) -> None:
    try:
        store.call(store.client._abort_multipart_upload, store.bucket, upload.object_name, upload.upload_id)
    except NotThereError:
        log.info("the unfinished upload of %s was deleted already", upload.object_name)
    except NotAllowedError as error:
        log.warning("parts of a killed upload stay until the bucket's lifecycle rule: %s", error)
