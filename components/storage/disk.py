"""Files and folders on a disk: copies that appear only when they are complete, and errors of one line."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import move_replacing, remove
from compaware.components.core.base.hashing import sha256_of
from compaware.components.storage.upload_manifest import (
    MANIFEST_NAME,
    build_manifest,
    incomplete_error,
    list_files,
    load_manifest,
    verify_folder,
    write_manifest,
)

# Until a copy is complete, its name starts with a dot and ends with this suffix.
COPY_SUFFIX = ".copy"


def check_path(path: Path, uri: str, require_manifest: bool) -> Path:
    """Returns a path after checking that it exists and, if asked, that it is a complete folder.

    Raises:
        UserError: There is nothing, or a folder is incomplete or corrupt.
    """
    if not path.exists():
        raise UserError(f"there is no file or folder {uri}: check the path")
    if require_manifest and path.is_dir():
        manifest = load_manifest(path)
        if manifest is None:
            raise incomplete_error(uri)
        verify_folder(path, manifest)
    return path


def copy_verified(source: Path, destination: Path) -> None:
    """Copies next to the destination, verifies the copy, and renames it.

    Raises:
        UserError: The source has no files, or the copy differs.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    staged = destination.with_name(f".{destination.name}{COPY_SUFFIX}")
    remove(staged)
    if source.is_file():
        shutil.copyfile(source, staged)
        if sha256_of(staged) != sha256_of(source):
            raise UserError(f"cannot write {destination}: the copy differs from {source}; upload it again")
    else:
        if not list_files(source):
            raise UserError(f"cannot write {destination}: {source} has no files")
        manifest = build_manifest(source)
        shutil.copytree(source, staged, ignore=lambda folder, _: [MANIFEST_NAME] if Path(folder) == source else [])
        verify_folder(staged, manifest)
        write_manifest(staged, manifest)
    # A folder that is being replaced must not look complete.
    if destination.is_dir():
        remove(destination / MANIFEST_NAME)
    move_replacing(staged, destination)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns an OSError into a UserError; `path` is named if the error names no file."""
    try:
        yield
    except OSError as error:
        file = error.filename or path
        raise UserError(f"cannot use {file}: {error.strerror or error}; fix that or choose another path") from error
