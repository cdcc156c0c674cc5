"""The manifest of an uploaded folder lists its files.

It is empty during the upload and is written last, so a folder with a full manifest is complete.
"""

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import write_text
from compaware.components.core.base.hashing import sha256_of

MANIFEST_NAME = ".compaware-manifest.json"
# An object that is not in a folder with a manifest has its SHA-256 here.
SHA256_METADATA = "x-amz-meta-sha256"
# S3 requests are XML, which has no control characters. Names that are not UTF-8 have lone surrogates in Python.
_NOT_STORABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class FileEntry(BaseModel):
    """One file.

    Attributes:
        name: Its path in the folder, with slashes.
        size: Its size in bytes.
        sha256: Its SHA-256 in hexadecimal.
    """

    name: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class UploadManifest(BaseModel):
    """The files of a folder, sorted by name."""

    version: Literal[1] = 1
    files: list[FileEntry]

    @property
    def size_bytes(self) -> int:
        """Total size of the files."""
        return sum(entry.size for entry in self.files)

    def entry(self, name: str) -> FileEntry | None:
        """Returns the entry of a file; None if there is none."""
        return next((entry for entry in self.files if entry.name == name), None)

    def to_json(self) -> str:
        """Returns the text to store."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def read(cls, text: str | bytes, shown: str) -> "UploadManifest":
        """Parses a stored manifest; `shown` is the folder's name in messages.

        Raises:
            UserError: The manifest is invalid or lists a file outside the folder.
        """
        try:
            manifest = cls.model_validate_json(text)
        except ValidationError as error:
            raise UserError(f"the manifest of {shown} is damaged: upload the folder again") from error
        for entry in manifest.files:
            path_inside(Path(), entry.name, shown)
        return manifest


def list_files(folder: Path) -> dict[str, Path]:
    """Returns name and path of all files below a folder except its manifest, sorted by name.

    Raises:
        UserError: A name cannot be stored.
    """
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    paths.pop(MANIFEST_NAME, None)
    for name in paths:
        if _NOT_STORABLE.search(name):
            raise UserError(f"{folder} has the file {name!r}, whose name is not printable text in UTF-8: rename it")
    return dict(sorted(paths.items()))


def build_manifest(folder: Path) -> UploadManifest:
    """Creates the manifest of a folder on disk."""
    return UploadManifest(
        files=[
            FileEntry(name=name, size=path.stat().st_size, sha256=sha256_of(path))
            for name, path in list_files(folder).items()
        ]
    )


def write_manifest(folder: Path, manifest: UploadManifest) -> None:
    """Writes the manifest of a folder on disk."""
    write_text(folder / MANIFEST_NAME, manifest.to_json())


def load_manifest(folder: Path) -> UploadManifest | None:
    """Loads the manifest of a folder on disk; returns None if there is none.

    Raises:
        UserError: The manifest is invalid.
    """
    file = folder / MANIFEST_NAME
    return UploadManifest.read(file.read_bytes(), str(folder)) if file.is_file() else None


def verify_folder(folder: Path, manifest: UploadManifest) -> None:
    """Compares a folder on disk with its manifest; ignores files that the manifest does not list.

    Raises:
        UserError: A file is missing or has another size or SHA-256.
    """
    for entry in manifest.files:
        path = path_inside(folder, entry.name, str(folder))
        if not path.is_file():
            raise UserError(f"{folder} lacks {entry.name}, which its manifest lists: write the folder again")
        size = path.stat().st_size
        if size != entry.size:
            raise UserError(f"{path} is truncated or changed ({size} bytes, not {entry.size}): write the folder again")
        if sha256_of(path) != entry.sha256:
            raise UserError(f"{path} is corrupt (its SHA-256 differs): write the folder again")


def path_inside(folder: Path, name: str, shown: str) -> Path:
    """Returns the path of the file `name` in `folder`.

    Raises:
        UserError: The name leads out of the folder.
    """
    if set(name.split("/")) & {"", ".", ".."} or "\0" in name:
        raise UserError(f"{shown} contains the name {name!r}, which is not a file below it: rename that object")
    return folder / name


def incomplete_error(shown: str) -> UserError:
    """Returns the error for a folder without a full manifest."""
    return UserError(
        f"{shown} is not complete: it has no {MANIFEST_NAME}, which is written last; wait for the upload or repeat it"
    )
