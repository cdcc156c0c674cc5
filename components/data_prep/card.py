"""Writes the data card, which shows a data set before training on it, as HTML and Markdown."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from compaware.components.core.base.files import write_text
from compaware.components.core.base.rendering import cut, render
from compaware.components.core.data.dataset import TEST, UNLABELLED, Manifest
from compaware.components.data_prep.lengths import Lengths
from compaware.components.data_prep.split import Split

_TARGET_BINS = 10
# Maximum for each class, and in total.
_EXAMPLES_PER_CLASS = 3
_EXAMPLES = 30
_EXAMPLE_CHARACTERS = 240
# What each split is for.
_USES = {
    "train": "for training",
    "validation": "all choices are made on it",
    "validation_mismatched": "used for no choice",
    TEST: "reported, used for no choice",
    UNLABELLED: "no labels, used for no choice",
}


def describe(manifest: Manifest, splits: dict[str, Split], lengths: Lengths) -> dict[str, Any]:
    """Collects the content of the card as plain JSON values.

    Returns:
        `manifest`, `uses` of the splits, `balance` (class or range, and its rows in each labelled split), `lengths` and
        `examples`.
    """
    groups, names = _groups(manifest, splits)
    labelled = [split for split in manifest.splits if split in groups]
    rows = {split: _count(groups[split], len(names)).tolist() for split in labelled}
    balance = [
        {"name": name, "rows": {split: counts[index] for split, counts in rows.items()}}
        for index, name in enumerate(names)
    ]
    return {
        "manifest": manifest.model_dump(mode="json"),
        "uses": {split: _USES[split] for split in manifest.splits},
        "balance": balance,
        "lengths": dataclasses.asdict(lengths),
        "examples": _examples(splits["train"], groups["train"], names),
    }


def write_card(facts: dict[str, Any], folder: Path) -> None:
    """Writes `card.html`, a self-contained page, and `card.md` into `folder`."""
    for name in ("card.html", "card.md"):
        write_text(folder / name, render(f"{name}.j2", "data_prep", **facts))


def _groups(manifest: Manifest, splits: dict[str, Split]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Returns the class of each row, its labels as 0 and 1, or the range of its target; and the names of these."""
    labels = {name: split.labels for name, split in splits.items()}
    if manifest.label_names:
        return labels, manifest.label_names
    low = min(targets.min() for targets in labels.values())
    high = max(targets.max() for targets in labels.values())
    edges = np.linspace(low, high, _TARGET_BINS + 1)
    groups = {name: np.clip(np.digitize(targets, edges) - 1, 0, _TARGET_BINS - 1) for name, targets in labels.items()}
    return groups, [f"{start:.3g} to {end:.3g}" for start, end in itertools.pairwise(edges)]


def _count(groups: np.ndarray, names: int) -> np.ndarray:
    return groups.sum(axis=0) if groups.ndim == 2 else np.bincount(groups, minlength=names)


def _examples(train: Split, groups: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """Returns the first rows of each class, label or range."""
    per_group = max(1, min(_EXAMPLES_PER_CLASS, _EXAMPLES // len(names)))
    masks = (groups[:, group] == 1 if groups.ndim == 2 else groups == group for group in range(len(names)))
    first_rows = (row for mask in masks for row in np.flatnonzero(mask)[:per_group].tolist())
    rows = list(dict.fromkeys(itertools.islice(first_rows, _EXAMPLES)))
    values = (row for table in train.take(np.sort(rows)).text_tables() for row in table.to_pylist())
    texts = dict(zip(sorted(rows), values, strict=True))
    return [
        {
            "name": _names_of(groups[row], names),
            "texts": [cut(text, _EXAMPLE_CHARACTERS) for text in texts[row].values()],
        }
        for row in rows
    ]


def _names_of(group: np.ndarray, names: list[str]) -> str:
    """Returns the name of a row's class or range, or the names of its labels."""
    return ", ".join(names[index] for index in (np.flatnonzero(group) if group.ndim else [group]))
