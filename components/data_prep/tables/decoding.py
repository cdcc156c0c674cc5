"""Decompresses files and converts their text to UTF-8."""

import bz2
import codecs
import gzip
import lzma
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.config import ReadOptions

Note = Callable[[str], None]
COMPRESSED_ENDINGS = (".gz", ".bz2", ".xz", ".zst")

_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x28\xb5\x2f\xfd": lambda file: pa.input_stream(str(file), compression="zstd"),
}
# Longer marks come first, since that of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BINARY = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")
_SAMPLE_BYTES = 1 << 12
_CHUNK_BYTES = 1 << 20


@contextmanager
def open_plain(file: Path, scratch: Path, options: ReadOptions, note: Note) -> Iterator[Path]:
    """Decompresses a file and converts its text to UTF-8, if needed, and removes the copies at the end.

    Args:
        file: The user's file. Its content decides how it is read, not its extension.
        scratch: Folder for the copies.
        options: May name the encoding.
        note: Called with a sentence about each guess.

    Yields:
        The file itself, or its copy.

    Raises:
        UserError: The file is an archive or has no rows, is truncated, or does not have the encoding.
    """
    copies = [scratch / "decompressed", scratch / "utf-8"]
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        plain = _decompress(file, copies[0], note)
        encoding = options.encoding or _guess_encoding(_head(plain))
        if encoding and codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig") and not is_binary(plain):
            if options.encoding is None:
                note(f"{file.name} was read as {encoding.upper()} (read_options.encoding).")
            _to_utf8(plain, encoding, copies[1], file)
            plain = copies[1]
        yield plain
    finally:
        for copy in copies:
            copy.unlink(missing_ok=True)


def is_binary(plain: Path) -> bool:
    """Whether the file is a Parquet or Arrow file."""
    return _head(plain).startswith(_BINARY)


def find_undecodable(file: Path, encoding: str) -> tuple[int, bytes] | None:
    """Returns the number, from 1, of the first line that is not in this encoding, and some bytes around the error."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            try:
                lines += decoder.decode(chunk).count("\n")
            except UnicodeDecodeError as error:
                before = error.object[: error.start]
                lines += codecs.decode(before, encoding, "ignore").count("\n")
                return lines, error.object[max(0, error.start - 12) : error.start + 12]
            except UnicodeError:
                # UTF-16 without a byte order mark.
                return lines, chunk[:12]
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return lines, error.object[-12:]
    return None


def _head(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_SAMPLE_BYTES)


def _decompress(file: Path, copy: Path, note: Note) -> Path:
    head = _head(file)
    if head.startswith(b"PK\x03\x04"):
        remedy = "save its sheet as CSV" if b"[Content_Types].xml" in head else "unpack it and use its files"
        raise UserError(f"{file} is a zip archive or an Excel workbook: {remedy}")
    if head.startswith(b"version https://git-lfs"):
        raise UserError(f"{file} is a Git LFS pointer, not the data: run `git lfs pull` in its folder")
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise UserError(f"{file} is an HTML page, such as a login or an error page, not data: download it again")
    open_compressed = next((opener for mark, opener in _OPENERS.items() if head.startswith(mark)), None)
    if open_compressed is None:
        return file
    if file.suffix.lower() not in COMPRESSED_ENDINGS:
        note(f"{file.name} is compressed, although its extension does not say so.")
    try:
        with open_compressed(file) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, pa.ArrowInvalid) as error:
        raise UserError(
            f"the compressed file {file} is damaged or truncated: copy or download it again ({error})"
        ) from error
    except OSError as error:
        if error.errno is None:
            raise UserError(f"the compressed file {file} is damaged: copy or download it again ({error})") from error
        raise
    if _head(copy)[257:262] == b"ustar":
        raise UserError(f"{file} is a tar archive: unpack it and use its files")
    return copy


def _guess_encoding(head: bytes) -> str | None:
    """Guesses the encoding from a byte order mark or from the zeros of UTF-16; None if there are neither."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    pairs = len(head) // 2
    zeros = [head[start::2].count(0) for start in (0, 1)]
    if pairs > 4 and max(zeros) > 0.4 * pairs and min(zeros) < 0.05 * pairs:
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    return None


def _to_utf8(file: Path, encoding: str, copy: Path, original: Path) -> None:
    try:
        with file.open(encoding=encoding, newline="") as source, copy.open("w", encoding="utf-8", newline="") as target:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)
    except UnicodeError as error:
        line = (find_undecodable(file, encoding) or (1, b""))[0]
        raise UserError(
            f"line {line} of {original} is not {encoding}: set read_options.encoding, or save the file as UTF-8"
        ) from error
