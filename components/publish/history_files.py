"""Reads and writes `latest.json` and `history.json` at a publishing prefix: the published version and all decisions.

Each version is a folder below the prefix. `latest.json` points to one and is replaced last, so that it never points to
an incomplete version. A run replaces only what it has read, so that two runs at once do not undo each other's work.
"""

from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Score
from compaware.components.core.evaluation.intervals import Difference
from compaware.components.storage import Document, join, read_document, replace_document

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
        difference: Paired difference to it on that split; None in entries of older versions.
        test_rows: Rows of the test split, which no choice is made on; None without one.
        test_metric: The metric on the test split.
        earlier_test_metric: The published version's metric on the test split.
        test_difference: Paired difference to it on the test split.
        size_bytes: Size of the files that the runtime reads.
        p50_ms: Median latency at the smallest measured batch size, in milliseconds.
        model_fingerprint: SHA-256 of its files.
        fingerprints: Fingerprints of data, teacher and parameters, and compaware's version.
        run_id: Id of the pipeline's run that decided; empty outside a cluster.
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
    difference: Difference | None = None
    test_rows: int | None = None
    test_metric: float | None = None
    earlier_test_metric: float | None = None
    test_difference: Difference | None = None
    size_bytes: int
    p50_ms: float
    model_fingerprint: str
    fingerprints: dict[str, str]
    run_id: str = ""


@dataclass(frozen=True)
class Published:
    """What a publishing prefix says at one time.

    Attributes:
        latest: Entry of the published version; None if there is none.
        history: All entries, the oldest first.
    """

    prefix: str
    latest: Entry | None
    history: list[Entry]
    _latest_file: Document
    _history_file: Document

    @classmethod
    def read(cls, prefix: str) -> "Published":
        """Reads latest.json and history.json.

        Args:
            prefix: A path or URI.

        Raises:
            UserError: A file is damaged or cannot be read.
            UnavailableError: The store does not respond.
        """
        latest_file = read_document(join(prefix, LATEST))
        history_file = read_document(join(prefix, HISTORY))
        latest = _parse(TypeAdapter(Entry), latest_file, LATEST, prefix)
        history = _parse(TypeAdapter(list[Entry]), history_file, HISTORY, prefix) or []
        return cls(prefix, latest, history, latest_file, history_file)

    def write(self, history: list[Entry], latest: Entry | None) -> bool:
        """Replaces the history, then points latest.json to a version whose folder is complete.

        Args:
            history: All entries, the oldest first.
            latest: The version to publish; None leaves latest.json as it is.

        Returns:
            False if another run has written one of the files since they were read; latest.json is then unchanged.

        Raises:
            UserError: The prefix cannot be written.
            UnavailableError: The store does not respond.
        """
        entries = TypeAdapter(list[Entry]).dump_json(history, indent=2)
        if not _replace(self.prefix, HISTORY, entries, self._history_file):
            return False
        if latest is None:
            return True
        return _replace(self.prefix, LATEST, TypeAdapter(Entry).dump_json(latest, indent=2), self._latest_file)


def _parse(content: TypeAdapter[Content], file: Document, name: str, prefix: str) -> Content | None:
    if file.content is None:
        return None
    try:
        return content.validate_json(file.content)
    except ValidationError as error:
        raise UserError(f"{name} at {prefix} is damaged: restore it, or choose another prefix") from error


def _replace(prefix: str, name: str, content: bytes, seen: Document) -> bool:
    return replace_document(join(prefix, name), content.decode("utf-8") + "\n", seen)
