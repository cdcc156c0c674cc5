"""A cache of downloads on disk, keyed by source and content, shared by processes and limited in size.

CACHE/<source>-<content>/content/NAME   a complete download; it appears by one rename
CACHE/<source>-<content>/incoming/      a partial download, which the next fetch resumes
CACHE/.locks/<source>-<content>         locked exclusively for a download or eviction, shared by readers
"""

import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import remove, write_text
from compaware.components.core.base.hashing import short_hash

log = logging.getLogger(__name__)

LIMIT_VARIABLE = "COMPAWARE_CACHE_MAX_BYTES"
_FILES = "files.json"
_RESERVED = "reserved_bytes"
_RETRY_S = 0.2
# Entries that this process uses stay locked until it ends.
_in_use: dict[Path, IO[str]] = {}


@dataclass(frozen=True)
class Download:
    """A file or folder to download.

    Attributes:
        source: Endpoint, bucket and key.
        content: Identifies the present content; other content gets another cache entry.
        name: Name of the resulting file or folder.
        size_bytes: Total size.
        fill: Downloads to the first path; the second is a folder for the state that a resumed download needs.
    """

    source: str
    content: str
    name: str
    size_bytes: int
    fill: Callable[[Path, Path], None]

    @property
    def source_id(self) -> str:
        """First half of the cache entry's name."""
        return short_hash(self.source)

    @property
    def entry_id(self) -> str:
        """The cache entry's name."""
        return f"{self.source_id}-{short_hash(self.content)}"


class Cache:
    """A cache folder.

    Raises:
        UserError: The size limit in the environment is not a number.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._locks = folder / ".locks"
        self._limit_bytes = _limit_bytes()

    def get(self, download: Download) -> Path:
        """Returns the path of a download; downloads it if needed and locks it until this process ends.

        Raises:
            UserError: The download exceeds the free disk space or the cache's limit.
        """
        entry = self._folder / download.entry_id
        result = entry / "content" / download.name
        lock = self._locks / entry.name
        if lock in _in_use:
            if _is_intact(entry, result):
                os.utime(lock)
                return result
            _in_use.pop(lock).close()
        self._locks.mkdir(parents=True, exist_ok=True)
        stream = lock.open("a")
        try:
            self._lock_complete(stream, entry, result, download)
        except BaseException:
            stream.close()
            raise
        _in_use[lock] = stream
        os.utime(lock)
        return result

    def _lock_complete(self, stream: IO[str], entry: Path, result: Path, download: Download) -> None:
        """Returns when the entry is complete and this process has a shared lock on it."""
        while True:
            _lock_shared(stream, download.name)
            if _is_intact(entry, result):
                return
            # Changing the kind of lock releases it for a moment, so the entry is checked after each change.
            if _try_exclusive(stream):
                if not _is_intact(entry, result):
                    self._fill(entry, download)
            else:
                fcntl.flock(stream, fcntl.LOCK_UN)
                time.sleep(_RETRY_S)

    def _fill(self, entry: Path, download: Download) -> None:
        remove(entry / "content")
        self._make_room(entry, download)
        incoming = entry / "incoming"
        target = incoming / "content" / download.name
        target.parent.mkdir(parents=True, exist_ok=True)
        download.fill(target, incoming / "parts")
        write_text(entry / _FILES, json.dumps(_sizes(target)))
        os.replace(incoming / "content", entry / "content")
        remove(incoming)

    def _make_room(self, entry: Path, download: Download) -> None:
        """Evicts the least recently used entries until the download fits, and reserves its size."""
        with self._room():
            others = sorted((path for path in self._entries() if path != entry), key=self._last_use)
            for path in [other for other in others if other.name.startswith(download.source_id)]:
                if self._evict(path):  # Older content of the same URI, which is not needed any more.
                    others.remove(path)
            used_bytes = sum(map(_reserved_bytes, others))
            for path in others:
                if used_bytes + download.size_bytes <= self._limit_bytes:
                    break
                size_bytes = _reserved_bytes(path)
                if self._evict(path):
                    used_bytes -= size_bytes
            if used_bytes + download.size_bytes > self._limit_bytes:
                raise UserError(
                    f"{download.name} ({download.size_bytes} bytes) and {used_bytes} bytes in use in {self._folder} "
                    f"exceed {LIMIT_VARIABLE}={self._limit_bytes:.0f}: raise it"
                )
            missing_bytes = download.size_bytes - _allocated_bytes(entry)
            free_bytes = shutil.disk_usage(self._folder).free
            if missing_bytes > free_bytes:
                raise UserError(
                    f"no space left on the disk of {self._folder}: {download.name} needs {missing_bytes} more bytes, "
                    f"{free_bytes} are free; delete files or choose another folder"
                )
            entry.mkdir(exist_ok=True)
            write_text(entry / _RESERVED, str(download.size_bytes))

    @contextmanager
    def _room(self) -> Iterator[None]:
        with (self._locks / "room").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _entries(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if (path / _RESERVED).is_file()]

    def _last_use(self, entry: Path) -> float:
        lock = self._locks / entry.name
        return lock.stat().st_mtime if lock.exists() else 0.0

    def _evict(self, entry: Path) -> bool:
        """Deletes an entry unless a process uses it."""
        with (self._locks / entry.name).open("a") as stream:
            if not _try_exclusive(stream):
                return False
            # Without its list of files an entry is incomplete, even if the deletion is interrupted.
            remove(entry / _FILES)
            remove(entry)
            log.info("evicted %s from the cache", entry)
            return True


def _limit_bytes() -> float:
    text = os.environ.get(LIMIT_VARIABLE) or "inf"
    try:
        limit_bytes = float(text)
    except ValueError:
        limit_bytes = 0.0
    if not limit_bytes > 0:
        raise UserError(f"{LIMIT_VARIABLE} is '{text}': give a number of bytes above 0")
    return limit_bytes


def _lock_shared(stream: IO[str], name: str) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("waiting for another process to download %s", name)
        fcntl.flock(stream, fcntl.LOCK_SH)


def _try_exclusive(stream: IO[str]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_intact(entry: Path, result: Path) -> bool:
    """Whether the entry still has the names and sizes of the download."""
    record = entry / _FILES
    return record.is_file() and result.exists() and json.loads(record.read_text(encoding="utf-8")) == _sizes(result)


def _sizes(path: Path) -> dict[str, int]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {file.relative_to(path).as_posix(): file.stat().st_size for file in files}


def _reserved_bytes(entry: Path) -> int:
    return int((entry / _RESERVED).read_text(encoding="utf-8"))


def _allocated_bytes(entry: Path) -> int:
    # st_blocks always counts 512 bytes. Partial files have holes, so st_size would be too large.
    return sum(file.stat().st_blocks * 512 for file in entry.rglob("*") if file.is_file())
