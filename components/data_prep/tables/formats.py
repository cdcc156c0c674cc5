"""Reads files of each format as a stream of record batches."""

import logging
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from compaware.components.core.base.errors import UserError
from compaware.components.data_prep.config import ReadOptions
from compaware.components.data_prep.tables.decoding import COMPRESSED_ENDINGS, Note, is_binary, open_plain
from compaware.components.data_prep.tables.delimited import read_delimited
from compaware.components.data_prep.tables.json_rows import BATCH_ROWS, read_json_rows

ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".ndjson", ".txt", ".arrow", ".feather")
_USUAL_DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_LINES = (".jsonl", ".ndjson")
_ARROW = (".arrow", ".feather")
_JSON = (".json", *_LINES)
_SECONDS_BETWEEN_LINES = 10.0
# How a file of JSON objects begins.
_OBJECT = re.compile(rb'(\[\s*)?\{\s*"[^"]*"\s*:')
log = logging.getLogger(__name__)


def ending_of(file: Path) -> str:
    """Returns the extension that names the format, before that of a compression, in lower case."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    return suffixes[-2] if len(suffixes) > 1 and suffixes[-1] in COMPRESSED_ENDINGS else "".join(suffixes[-1:])


def read_batches(file: Path, scratch: Path, options: ReadOptions, note: Note) -> Iterator[pa.RecordBatch]:
    """Reads a file of any format; yields nothing if it is empty.

    Args:
        file: The file. Its extension names the format, unless its content is clearly of another one.
        scratch: Folder for temporary copies.
        options: What the user set for delimited files and encodings.
        note: Called with a sentence about each guess.

    Raises:
        UserError: The extension is not supported, or the content is not valid.
    """
    ending = ending_of(file)
    with open_plain(file, scratch, options, note) as plain:
        if ending not in ENDINGS:
            raise UserError(f"{file} has the unsupported extension '{ending}': use one of {', '.join(ENDINGS)}")
        kind = _kind(plain, ending)
        if not any(kind in same and ending in same for same in (_ARROW, _JSON, (kind,))):
            note(f"{file.name} was read as {kind[1:]}, since that is its content.")
        if kind == ".parquet":
            batches = _read_parquet(plain)
        elif kind in _ARROW:
            batches = _read_arrow(plain)
        elif kind in _USUAL_DELIMITERS:
            batches = read_delimited(plain, file, scratch, options, note, _USUAL_DELIMITERS[kind])
        else:
            batches = read_json_rows(plain, file, note, lines=kind in _LINES)
        yield from _log_progress(map(_usual_types, batches), file)


def _kind(plain: Path, ending: str) -> str:
    """Returns the extension of the content's format."""
    with plain.open("rb") as stream:
        head = stream.read(1 << 10).removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"PAR1"):
        return ".parquet"
    if is_binary(plain):
        return ".arrow"
    if ending in (".parquet", *_ARROW):
        return ending
    if ending in _USUAL_DELIMITERS:
        return ".json" if _OBJECT.match(head) else ending
    return ending if b"{" in head or head[:1] in (b"[", b"") else ".csv"


def _read_parquet(plain: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(plain, memory_map=True) as parquet:
        yield from parquet.iter_batches(batch_size=BATCH_ROWS)


def _read_arrow(plain: Path) -> Iterator[pa.RecordBatch]:
    """Reads Arrow's file format, or its stream format, which datasets' save_to_disk writes."""
    with pa.memory_map(str(plain)) as source:
        if source.read(6) == b"ARROW1":
            reader = pa.ipc.open_file(source)
            batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        else:
            source.seek(0)
            batches = iter(pa.ipc.open_stream(source))
        for batch in batches:
            yield from (batch.slice(start, BATCH_ROWS) for start in range(0, max(1, batch.num_rows), BATCH_ROWS))


def _usual_types(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Converts dictionaries, views and extension types, which not all compute functions support."""
    columns, fields = [], []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_string_view(column.type):
            column = column.cast(pa.string())
        if pa.types.is_binary_view(column.type):
            column = column.cast(pa.binary())
        columns.append(column)
        fields.append(field.with_type(column.type))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, batch.schema.metadata))


def _log_progress(batches: Iterable[pa.RecordBatch], file: Path) -> Iterator[pa.RecordBatch]:
    """Logs the number of rows read so far of a large file."""
    rows, logged_at = 0, time.monotonic()
    for batch in batches:
        yield batch
        rows += len(batch)
        if time.monotonic() - logged_at >= _SECONDS_BETWEEN_LINES:
            logged_at = time.monotonic()
            log.info("%d rows of %s read", rows, file)
