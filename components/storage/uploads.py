"""Uploads of files in parts: several at once, parts that the store already has left out."""

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
    """A file to send.

    Attributes:
        path: Where it is.
        entry: Its name, size and SHA-256.
        part_bytes: Size of all its parts but the last.
        part_md5s: MD5 of each part, which is what stores call a part's ETag.
    """

    path: Path
    entry: FileEntry
    part_bytes: int
    part_md5s: list[str]

    @property
    def etag(self) -> str:
        """What stores that do not encrypt call the whole object's ETag."""
        if len(self.part_md5s) == 1:
            return self.part_md5s[0]
        joined = b"".join(bytes.fromhex(md5) for md5 in self.part_md5s)
        return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(self.part_md5s)}"


def upload_folder(store: Store, folder: Path) -> UploadManifest:
    """Puts all files of a folder below the store's location, and the manifest last.

    What is there already is replaced: its manifest goes first, files that the new folder lacks just before the end.

    Raises:
        UserError: As `Store.call`, or the folder is empty or changes meanwhile.
    """
    paths = list_files(folder)
    if not paths:
        raise store.error(f"{folder} holds no file")
    manifest_key = store.location.below(MANIFEST_NAME)
    store.remove([manifest_key])
    mark = store.location.below(UPLOAD_MARK)
    store.call(store.client._put_object, store.bucket, mark, b"", {})
    files = [_look(path, name) for name, path in paths.items()]
    present = store.list_below()
    uploads = [_Upload(store, file, store.location.below(file.entry.name)) for file in files]
    wanted = [upload for upload in uploads if not _is_same(upload.file, present.get(upload.file.entry.name))]
    _send(store, wanted)
    store.remove([present[name].object_name for name in present if name not in paths])
    manifest = UploadManifest(files=[file.entry for file in files])
    _check(store, manifest)
    content = manifest.to_json().encode()
    store.call(store.client._put_object, store.bucket, manifest_key, content, {"Content-Type": "application/json"})
    store.remove([mark])
    return manifest


def upload_file(store: Store, path: Path) -> FileEntry:
    """Puts one file at the store's location, with its SHA-256 beside it; an object appears whole or not at all.

    Raises:
        UserError: As `Store.call`, or the file changes meanwhile.
    """
    file = _look(path, path.name)
    # The checksum is fixed when an upload begins, and the store does not tell which one an unfinished upload has.
    headers = {SHA256_METADATA: file.entry.sha256}
    _send(store, [_Upload(store, file, store.location.key, headers, may_resume=False)])
    return file.entry


def abort_unfinished(store: Store, keys_begin_with: str) -> None:
    """Deletes the parts of uploads that never ended."""
    for upload in _unfinished(store, keys_begin_with):
        _abort(store, upload)


def _send(store: Store, uploads: list["_Upload"]) -> None:
    store.run_all(upload.begin for upload in uploads)
    store.run_all(task for upload in uploads for task in upload.missing_parts())
    store.run_all(upload.complete for upload in uploads)


def _check(store: Store, manifest: UploadManifest) -> None:
    """Looks whether all files are there in full, before a manifest says so."""
    present = store.list_below()
    for entry in manifest.files:
        if entry.name not in present or present[entry.name].size != entry.size:
            raise store.error(f"{entry.name} did not arrive whole: is something else writing there? Upload again")


def _is_same(file: _LocalFile, item: Any | None) -> bool:
    return item is not None and item.size == file.entry.size and item.etag == file.etag


def _look(path: Path, name: str) -> _LocalFile:
    """Reads a file once for its size, its SHA-256 and its parts' MD5."""
    size = path.stat().st_size
    part_bytes = max(_PART_BYTES, -(-size // _MAX_PARTS))
    whole, read_bytes = hashlib.sha256(), 0
    part_md5s: list[str] = []
    with path.open("rb") as stream:
        while (data := stream.read(part_bytes)) or not part_md5s:
            whole.update(data)
            part_md5s.append(_md5(data))
            read_bytes += len(data)
    return _LocalFile(path, FileEntry(name=name, size=read_bytes, sha256=whole.hexdigest()), part_bytes, part_md5s)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@dataclass
class _Upload:
    """One file on its way; `begin`, then all of `missing_parts`, then `complete`."""

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
        """Finds the unfinished upload of this key and the parts that it has, or begins one."""
        if self._has_one_part:
            return
        unfinished = [item for item in _unfinished(self.store, self.key) if item.object_name == self.key]
        unfinished.sort(key=lambda item: item.initiated_time)
        kept = unfinished.pop() if unfinished and self.may_resume else None
        for item in unfinished:
            _abort(self.store, item)
        if kept is not None:
            self._upload_id = kept.upload_id
            self._etags = self._parts_there()
            log.info("%s: going on, %d of %d parts are there", self.key, len(self._etags), len(self.file.part_md5s))
            return
        self._upload_id = self.store.call(
            self.store.client._create_multipart_upload, self.store.bucket, self.key, dict(self.headers)
        )

    def missing_parts(self) -> list[Callable[[], None]]:
        """A task for each part that the store does not have."""
        numbers = range(1, len(self.file.part_md5s) + 1)
        return [functools.partial(self._send_part, number) for number in numbers if number not in self._etags]

    def complete(self) -> None:
        """Makes the parts an object."""
        if self._has_one_part:
            return
        parts = [Part(number, etag) for number, etag in sorted(self._etags.items())]
        try:
            self.store.call(
                self.store.client._complete_multipart_upload, self.store.bucket, self.key, self._upload_id, parts
            )
        except NotThereError:
            # Where the answer to a first request was lost, the second finds the upload gone and the object there.
            if not _is_same(self.file, self.store.stat(self.key)):
                raise

    def _send_part(self, number: int) -> None:
        with self.file.path.open("rb") as stream:
            stream.seek((number - 1) * self.file.part_bytes)
            data = stream.read(self.file.part_bytes)
        if _md5(data) != self.file.part_md5s[number - 1]:
            raise self.store.error(f"{self.file.path} was changed while it was uploaded: upload it when it is done")
        client, bucket = self.store.client, self.store.bucket
        if self._has_one_part:
            self.store.call(client._put_object, bucket, self.key, data, dict(self.headers))
        else:
            self._etags[number] = self.store.call(
                client._upload_part, bucket, self.key, data, None, self._upload_id, number
            )

    def _parts_there(self) -> dict[int, str]:
        """ETags of the parts that the store has and that are ours, by number."""
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
    """minio's `Upload`s of all keys that begin so."""
    found: list[Any] = []
    key_marker = upload_id_marker = None
    while True:
        page = store.call(
            store.client._list_multipart_uploads,
            store.bucket,
            prefix=prefix,
            key_marker=key_marker,
            upload_id_marker=upload_id_marker,
        )
        found += page.uploads
        if not page.is_truncated:
            return found
        key_marker, upload_id_marker = page.next_key_marker, page.next_upload_id_marker


def _abort(store: Store, upload: Any) -> None:
    try:
        store.call(store.client._abort_multipart_upload, store.bucket, upload.object_name, upload.upload_id)
    except NotThereError:
        log.info("the unfinished upload of %s is gone already", upload.object_name)
