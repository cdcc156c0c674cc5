"""Copies files within a store, so that their data does not pass through this machine."""

import functools
import shutil
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import move_replacing, remove
from compaware.components.storage.disk import COPY_SUFFIX
from compaware.components.storage.upload_manifest import MANIFEST_NAME
from compaware.components.storage.uri import Location, parse

if TYPE_CHECKING:
    from compaware.components.storage.store import Store


def copy(source_uri: str, target_uri: str) -> None:
    """Copies a folder of this machine, or of a bucket to another place in that bucket.

    A file is copied after the files of deeper folders, and a manifest after the other files of its folder, because an
    index or a manifest says that what it lists is complete.

    Raises:
        UserError: The folder is empty, the places are in different buckets, or access is denied.
        UnavailableError: The store does not answer.
    """
    source, target = parse(source_uri), parse(target_uri)
    if isinstance(source, Path) and isinstance(target, Path):
        _copy_path(source, target)
    elif isinstance(source, Location) and isinstance(target, Location) and source.bucket == target.bucket:
        _copy_objects(source, target)
    else:
        raise UserError(f"cannot copy {source_uri} to {target_uri}: they must be in one bucket")


def _copy_path(source: Path, target: Path) -> None:
    try:
        staged = target.with_name(f".{target.name}{COPY_SUFFIX}")
        remove(staged)
        shutil.copytree(source, staged)
        move_replacing(staged, target)
    except OSError as error:
        raise UserError(f"cannot copy {source} to {target}: {error}") from error


def _copy_objects(source: Location, target: Location) -> None:
    from compaware.components.storage.store import Store

    store, target_store = Store(source, "copy"), Store(target, "write")
    objects = store.list_below()
    if not objects:
        raise store.error("there are no files")
    has_manifest = store.manifest_bytes() is not None
    if has_manifest:
        # As in an upload, an empty manifest shows that the files belong to a component.
        target_store.put(target.below(MANIFEST_NAME), b"")
    for _, names in groupby(sorted(objects, key=_order), key=_order):
        store.run_all([functools.partial(_copy_object, store, target, name) for name in names])
    present = target_store.list_below()
    for name, item in objects.items():
        if name not in present or present[name].size != item.size:
            raise target_store.error(f"the copy of {name} is incomplete")
    if has_manifest:
        _copy_object(store, target, MANIFEST_NAME)


def _order(name: str) -> tuple[int, bool]:
    return -name.count("/"), name.rpartition("/")[2] == MANIFEST_NAME


def _copy_object(store: "Store", target: Location, name: str) -> None:
    from minio.commonconfig import CopySource

    source = CopySource(store.bucket, store.location.below(name))
    store.call(store.client.copy_object, store.bucket, target.below(name), source)
