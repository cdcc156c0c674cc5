"""SHA-256 of texts and files."""

import hashlib
from pathlib import Path


def short_hash(text: str) -> str:
    """Returns the first 16 hexadecimal digits of a text's SHA-256, for names."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fingerprint_files(files: list[Path]) -> str:
    """Returns the SHA-256 over the names and contents of files, sorted by name."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda path: path.name):
        digest.update(file.name.encode() + b"\0")
        digest.update(bytes.fromhex(sha256_of(file)))
    return digest.hexdigest()
