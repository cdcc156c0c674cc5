"""The list of a folder's files, written last: a folder with it is complete, one without it is not there."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import write_text
from compaware.components.core.base.hashing import sha256_of

MANIFEST_NAME = ".compaware-manifest.json"
# Beside the files of an upload until it is done.
UPLOAD_MARK = ".compaware-upload"


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
    """All files of a folder, in the order of their names."""

    version: Literal[1] = 1
    files: list[FileEntry]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    def entry(self, name: str) -> FileEntry | None:
        """The file of that name."""
        return next((entry for entry in self.files if entry.name == name), None)

    def to_json(self) -> str:
        """The text that is stored."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def read(cls, text: str | bytes, shown: str) -> "UploadManifest":
        """Parses a stored manifest; `shown` is the folder, for messages.

        Raises:
            UserError: It is not a manifest, or names a file outside the folder.
        """
        try:
            manifest = cls.model_validate_json(text)
        except ValidationError as error:
            raise UserError(f"the manifest of {shown} is damaged: upload the folder again") from error
        for entry in manifest.files:
            path_inside(Path(), entry.name, shown)
        return manifest


def list_files(folder: Path) -> dict[str, Path]:
    """Names and paths of all files below a folder, but for its manifest, in the order of their names."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    found.pop(MANIFEST_NAME, None)
    return dict(sorted(found.items()))


def build_manifest(folder: Path) -> UploadManifest:
    """Hashes all files below a folder."""
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
    """Reads the manifest of a folder on disk; None where there is none.

    Raises:
        UserError: It is not a manifest.
    """
    file = folder / MANIFEST_NAME
    return UploadManifest.read(file.read_bytes(), str(folder)) if file.is_file() else None


def verify_folder(folder: Path, manifest: UploadManifest) -> None:
    """Compares a folder on disk with its manifest; files that the manifest does not name are let be.

    Raises:
        UserError: A file is missing, or its size or its SHA-256 is another.
    """
    for entry in manifest.files:
        path = path_inside(folder, entry.name, str(folder))
        if not path.is_file():
            raise UserError(f"{folder} lacks {entry.name}, which its manifest names: write the folder again")
        size = path.stat().st_size
        if size != entry.size:
            raise UserError(f"{path} is truncated or changed: {size} bytes, not {entry.size}; write the folder again")
        if sha256_of(path) != entry.sha256:
            raise UserError(f"{path} is corrupt: its SHA-256 is not the manifest's; write the folder again")


def path_inside(folder: Path, name: str, shown: str) -> Path:
    """A path below `folder`; keys are free text, and must not lead out of it.

    Raises:
        UserError: The name does.
    """
    if set(name.split("/")) & {"", ".", ".."} or "\0" in name:
        raise UserError(f"{shown} holds the name '{name!r}', which is not a file below it: rename that object")
    return folder / name
