"""The data card: what a person wants to see of a data set before training on it, as HTML and as Markdown."""

import dataclasses
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from compaware.components.core.artifacts import write_text
from compaware.components.core.dataset import Manifest
from compaware.components.data_prep.lengths import Lengths

_TEMPLATES = Path(__file__).parent / "templates"
_TARGET_BINS = 10
# At most so many for each class, and so many in all.
_EXAMPLES_PER_CLASS = 3
_EXAMPLES = 30
_EXAMPLE_CHARACTERS = 240


def describe(manifest: Manifest, tables: dict[str, pa.Table], lengths: Lengths) -> dict[str, Any]:
    """Gathers what the card shows, as plain JSON values.

    Returns:
        `manifest`, `balance` (class or range, and its rows in each split), `lengths` and `examples`.
    """
    groups = _groups(manifest, tables)
    names = manifest.label_names or _range_names(tables)
    balance = [
        {"name": name, "rows": {split: int((found == index).sum()) for split, found in groups.items()}}
        for index, name in enumerate(names)
    ]
    return {
        "manifest": manifest.model_dump(mode="json"),
        "balance": balance,
        "lengths": dataclasses.asdict(lengths),
        "examples": _examples(tables["train"], groups["train"], names),
    }


def write_card(facts: dict[str, Any], folder: Path) -> None:
    """Writes `card.html`, a page that needs nothing else, and `card.md` into `folder`."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=lambda name: name is not None and ".html" in name,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"cell": _cell, "thousands": lambda number: f"{number:,}"}
    for name in ("card.html", "card.md"):
        write_text(folder / name, environment.get_template(f"{name}.j2").render(facts))


def _groups(manifest: Manifest, tables: dict[str, pa.Table]) -> dict[str, np.ndarray]:
    """The class of each row, or the range of targets that it falls in."""
    labels = {split: table.column("label").to_numpy() for split, table in tables.items()}
    if manifest.label_names:
        return labels
    edges = _edges(tables)
    return {split: np.clip(np.digitize(found, edges) - 1, 0, _TARGET_BINS - 1) for split, found in labels.items()}


def _range_names(tables: dict[str, pa.Table]) -> list[str]:
    edges = _edges(tables)
    return [f"{low:.3g} to {high:.3g}" for low, high in itertools.pairwise(edges)]


def _edges(tables: dict[str, pa.Table]) -> np.ndarray:
    everything = np.concatenate([table.column("label").to_numpy() for table in tables.values()])
    return np.linspace(everything.min(), everything.max(), _TARGET_BINS + 1)


def _examples(train: pa.Table, groups: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """The first rows of each class or range."""
    each = max(1, min(_EXAMPLES_PER_CLASS, _EXAMPLES // len(names)))
    rows = [row for group in range(len(names)) for row in np.flatnonzero(groups == group)[:each]][:_EXAMPLES]
    return [
        {
            "name": names[groups[row]],
            "texts": [_short(train.column(name)[row].as_py()) for name in train.column_names if name != "label"],
        }
        for row in map(int, rows)
    ]


def _short(text: str) -> str:
    return text if len(text) <= _EXAMPLE_CHARACTERS else text[: _EXAMPLE_CHARACTERS - 1] + "…"


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table: one line in which nothing is markup."""
    return re.sub(r"([\\`*_\[\]<>|#~&$])", r"\\\1", " ".join(text.split()))
