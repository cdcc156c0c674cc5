"""Runs data_prep on small files, like its entry point."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.data.dataset import PreparedDataset, load_dataset_folder
from compaware.components.core.stage.workspace import run_stage
from compaware.components.data_prep.config import DataPrepConfig
from compaware.components.data_prep.prepare import run

Prepare = Callable[..., tuple[PreparedDataset, Summary]]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Returns a function that prepares data and returns the reloaded artifact and the summary."""

    def call(**options: Any) -> tuple[PreparedDataset, Summary]:
        config = validate(DataPrepConfig, {"output": tmp_path / "prepared", "existing_output": "overwrite", **options})
        summary = run_stage(config, lambda workspace: run(config, workspace))
        return load_dataset_folder(config.output), summary

    return call


def write_csv(file: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = ("text", "label")) -> Path:
    """Writes a CSV file, with quotes around cells that need them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return file


def numbered(count: int, labels: Sequence[object], word: str = "row") -> list[tuple[str, object]]:
    """Returns `count` different rows with the labels in turn."""
    return [(f"{word} {index}", labels[index % len(labels)]) for index in range(count)]
