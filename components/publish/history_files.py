"""Reads and writes `latest.json` and `history.json` at a publishing prefix: the published version and all decisions.

Each version is a folder below the prefix. `latest.json` points to one and is replaced last, so that it never points to
an incomplete version.
"""

import tempfile
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import write_text
from compaware.components.core.base.summary import Score
from compaware.components.storage import exists, fetch, join, upload

LATEST = "latest.json"
HISTORY = "history.json"
Content = TypeVar("Content")


class Entry(BaseModel):
    """One model that was published or refused.

    Attributes:
        version: Name of its folder below the prefix; empty if it was refused.
        time: Time of the decision, in UTC, as ISO 8601.
        published: Whether it was published.
        reason: Reason for the decision.
        changed: Fingerprints that differ from the previous version's: data, teacher, parameters, version.
        role: student, int8 or sparse.
        runtime: Runtime that it was evaluated in and is best served with on that CPU.
        precision: Precision in that runtime.
        metric_name: Primary metric of the data.
        metric: Its value on the validation split.
        earlier_version: The published version that it was compared with.
        earlier_metric: That version's metric on the same split.
        size_bytes: Size of the files that the runtime reads.
        p50_ms: Median latency at the smallest measured batch size, in milliseconds.
        model_fingerprint: SHA-256 of its files.
        fingerprints: Fingerprints of data, teacher and parameters, and compaware's version.
    """

    version: str
    time: str
    published: bool
    reason: str
    changed: list[str]
    role: str
    runtime: str
    precision: str
    metric_name: str
    metric: Score
    earlier_version: str | None
    earlier_metric: float | None
    size_bytes: int
    p50_ms: float
    model_fingerprint: str
    fingerprints: dict[str, str]


def read_latest(prefix: str, cache: Path) -> Entry | None:
    """Returns the entry of the published version at a prefix; None if there is none.

    Args:
        prefix: A path or URI.
        cache: Folder for downloads.

    Raises:
        UserError: The file is damaged or cannot be read.
        UnavailableError: The store does not respond.
    """
    return _read(prefix, LATEST, TypeAdapter(Entry), cache)


def read_history(prefix: str, cache: Path) -> list[Entry]:
    """Returns all entries at a prefix, the oldest first.

    Raises:
        UserError: As `read_latest`.
        UnavailableError: As `read_latest`.
    """
    return _read(prefix, HISTORY, TypeAdapter(list[Entry]), cache) or []


def write_history(prefix: str, entries: list[Entry]) -> None:
    """Replaces the history.

    Raises:
        UserError: The prefix cannot be written.
        UnavailableError: The store does not respond.
    """
    _write(prefix, HISTORY, TypeAdapter(list[Entry]).dump_json(entries, indent=2))


def write_latest(prefix: str, entry: Entry) -> None:
    """Points `latest.json` to a version whose folder is complete.

    Raises:
        UserError: As `write_history`.
        UnavailableError: As `write_history`.
    """
    _write(prefix, LATEST, TypeAdapter(Entry).dump_json(entry, indent=2))


def _read(prefix: str, name: str, content: TypeAdapter[Content], cache: Path) -> Content | None:
    uri = join(prefix, name)
    if not exists(uri):
        return None
    try:
        return content.validate_json(fetch(uri, cache, require_manifest=True).read_bytes())
    except ValidationError as error:
        raise UserError(f"{name} at {prefix} is damaged: restore it, or choose another prefix") from error


def _write(prefix: str, name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        write_text(file, content.decode("utf-8") + "\n")
        upload(file, join(prefix, name))
