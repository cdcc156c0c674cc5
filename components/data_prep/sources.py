"""Reads rows from the built-in sample, the hub, or files."""

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.tasks import Task
from compaware.components.data_prep.class_names import class_names_from_schema, merge_class_names
from compaware.components.data_prep.config import DataPrepConfig
from compaware.components.data_prep.sample import sample_corpus
from compaware.components.data_prep.tables.decoding import Note
from compaware.components.data_prep.tables.folders import described_class_names
from compaware.components.data_prep.tables.readers import read_files
from compaware.components.storage import is_uri, local_source

log = logging.getLogger(__name__)
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_FILE_ENDING = re.compile(
    r"\.(csv|tsv|json|jsonl|ndjson|parquet|arrow|feather|txt|xlsx?|zip|gz|bz2|xz|zst)$", re.IGNORECASE
)


@dataclass(frozen=True)
class Source:
    """Rows of a source, with its own columns.

    Attributes:
        tables: A table for each split; memory-mapped, except for the sample.
        description: Kind and name of the source, for the manifest and the card.
        class_names: Class names of the columns for which the source has them.
        notes: What was guessed, replaced or left out.
    """

    tables: dict[str, pa.Table]
    description: dict[str, Any]
    class_names: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_source(config: DataPrepConfig, task: Task | None, work: Path) -> Source:
    """Reads all splits of a task or of own data.

    Args:
        config: Says what to read.
        task: The known task; None for own data.
        work: Folder for downloads from an object store, and for temporary copies of the rows.

    Raises:
        UserError: The source does not exist or cannot be read.
    """
    if config.data is None and task is not None:
        return _sample() if task.hub_id is None else _hub(task.hub_id, config.hub_config or task.hub_config, config)
    data = config.data or ""
    path = Path(local_source(data, work / "downloads")).expanduser()
    if path.exists():
        notes: list[str] = []
        tables = read_files(path, work, config.read_options, config.hub_config, _note_collector(notes))
        names = merge_class_names(
            (f"the {split} split", class_names_from_schema(tables[split].schema)) for split in tables
        )
        if path.is_dir():
            names = described_class_names(path, config.hub_config) | names
        return Source(tables, {"kind": "files", "data": data}, names, notes)
    if is_uri(data) or not _HUB_ID.fullmatch(data) or _FILE_ENDING.search(data):
        raise UserError(f"there is no file or folder {data}")
    return _hub(data, config.hub_config, config)


def _note_collector(notes: list[str]) -> Note:
    """Returns a function that adds a note, once, and logs it at once, since it may explain an error that follows."""

    def note(sentence: str) -> None:
        if sentence not in notes:
            notes.append(sentence)
            log.info("note: %s", sentence)

    return note


def _sample() -> Source:
    tables = {
        split: pa.table({"sentence": [row.text for row in rows], "label": [row.label for row in rows]})
        for split, rows in sample_corpus().items()
    }
    return Source(tables, {"kind": "sample"})


def _hub(hub_id: str, hub_config: str | None, config: DataPrepConfig) -> Source:
    # Imported here, since the datasets library takes a second to import.
    from compaware.components.data_prep.hub import read_hub

    notes: list[str] = []
    tables, class_names = read_hub(hub_id, hub_config, config.hub_revision, _note_collector(notes))
    description = {"kind": "hub", "data": hub_id, "config": hub_config, "revision": config.hub_revision}
    return Source(tables, description, class_names, notes)
