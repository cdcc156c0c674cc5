"""Finds what killed uploads have left."""

import time
from collections import defaultdict
from pathlib import Path

from compaware.components.storage.disk import COPY_SUFFIX, disk_errors
from compaware.components.storage.upload_manifest import MANIFEST_NAME
from compaware.components.storage.uri import join, parse

# An upload that has written nothing for this long is no longer running.
ABANDONED_AFTER_S = 24 * 3600.0


def abandoned_uploads(uri: str) -> list[str]:
    """Finds the folders directly below a folder whose upload has not finished and has written nothing for a day.

    Returns:
        Their URIs, to be deleted.

    Raises:
        UserError: Access is denied.
        UnavailableError: The store does not answer.
    """
    location = parse(uri)
    if isinstance(location, Path):
        with disk_errors(location):
            copies = sorted(location.glob(f".*{COPY_SUFFIX}"))
            return [str(path) for path in copies if _is_old(max(map(_written_at, [path, *path.rglob("*")])))]
    from compaware.components.storage.store import Store

    objects = Store(location, "read").list_below()
    written_at: dict[str, float] = defaultdict(float)
    for name, item in objects.items():
        folder = name.partition("/")[0]
        written_at[folder] = max(written_at[folder], item.last_modified.timestamp())
    # The manifest is empty until an upload has finished.
    unfinished = [name.partition("/")[0] for name, item in objects.items() if item.size == 0 and _is_manifest(name)]
    return [join(uri, folder) for folder in unfinished if _is_old(written_at[folder])]


def _is_manifest(name: str) -> bool:
    return name.count("/") == 1 and name.endswith(f"/{MANIFEST_NAME}")


def _written_at(path: Path) -> float:
    return path.lstat().st_mtime


def _is_old(written_at: float) -> bool:
    return time.time() - written_at > ABANDONED_AFTER_S
