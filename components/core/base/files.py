"""Moves, writes and deletes files and folders so that no other process sees a partial one."""

import os
import shutil
import stat
from pathlib import Path

from compaware.components.core.base.errors import UserError


def move_replacing(source: Path, destination: Path) -> None:
    """Moves a finished file or folder to its final name and replaces an existing one.

    Across file systems it copies next to the destination first, then renames. Permissions are set from the umask,
    because safetensors creates files that only their owner can read.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    staged = destination.with_name(f".{destination.name}.incoming")
    remove(staged)
    shutil.move(source, staged)
    _set_permissions(staged)
    if staged.is_dir() or destination.is_dir():
        remove(destination)
    os.replace(staged, destination)


def _set_permissions(path: Path) -> None:
    """Sets the permissions that the umask gives to new files and folders."""
    probe = path.with_name(f"{path.name}.probe")
    probe.touch()
    for_files = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    for_folders = for_files | (for_files & 0o444) >> 2  # Who may read a folder may enter it.
    for entry in [path, *path.rglob("*")]:
        if not entry.is_symlink():
            mode = stat.S_IMODE(entry.stat().st_mode)
            target_mode = mode & ~0o777 | (for_folders if entry.is_dir() else for_files)
            if mode != target_mode:
                entry.chmod(target_mode)


def remove(path: Path) -> None:
    """Deletes a file or folder if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a file under a temporary name, then renames it, so that it is never seen half-written."""
    staged = path.with_name(f".{path.name}.incoming")
    staged.write_text(text, encoding="utf-8")
    os.replace(staged, path)


def size_bytes(path: Path) -> int:
    """Returns the size of a file, or of all files below a folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


_POINTER = b"version https://git-lfs"


def require_no_pointers(folder: Path) -> None:
    """Checks that no file of a folder is a Git LFS pointer.

    Raises:
        UserError: A file is a pointer, as in a clone made without Git LFS.
    """
    for file in sorted(folder.iterdir()):
        # A pointer has about 130 bytes.
        if file.suffix in (".json", ".safetensors", ".txt", ".model") and file.is_file() and file.stat().st_size < 1024:
            with file.open("rb") as stream:
                if stream.read(len(_POINTER)) == _POINTER:
                    raise UserError(f"{file} is a Git LFS pointer, not the file: run `git lfs pull` in {folder}")
