"""Which rows stay: duplicates, stratified limits, and a validation split where there is none."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from compaware.components.core.errors import UserError

# Regression targets are stratified by this many ranges of equal size.
_TARGET_RANGES = 10


@dataclass(frozen=True)
class Duplicates:
    """Exact duplicates (same text in every text column).

    Attributes:
        found: Training rows whose text is in a validation split, too.
        dropped: How many of them were left out.
        within_training: Training rows that repeat an earlier one.
        conflicting: Texts that have different labels in training and validation taken together.
        in_test: Training rows whose text is in the test split.
    """

    found: int
    dropped: int
    within_training: int
    conflicting: int
    in_test: int

    def notes(self) -> list[str]:
        """What of it is worth saying."""
        sentences = {
            f"{self.found} training rows are in validation, too; {self.dropped} of them were dropped.": self.found,
            f"{self.within_training} training rows repeat an earlier one; they were kept.": self.within_training,
            f"{self.conflicting} texts of training and validation have several labels.": self.conflicting,
            f"{self.in_test} training rows are in the test split, too; they were kept.": self.in_test,
        }
        return [sentence for sentence, count in sentences.items() if count]


def drop_duplicates(tables: dict[str, pa.Table], *, keep: bool) -> tuple[dict[str, pa.Table], Duplicates]:
    """Finds exact duplicates and leaves those of validation out of training, unless `keep`.

    Raises:
        UserError: No training row would be left.
    """
    texts = {split: _texts(table) for split, table in tables.items()}
    validation = {text for split, found in texts.items() if split.startswith("validation") for text in found}
    test = set(texts.get("test", ()))
    leaked = np.array([text in validation for text in texts["train"]])
    labels: dict[tuple[str, ...], set[float]] = {}
    for split, found in texts.items():
        if split != "test":
            for text, label in zip(found, tables[split].column("label").to_pylist(), strict=True):
                labels.setdefault(text, set()).add(label)
    duplicates = Duplicates(
        found=int(leaked.sum()),
        dropped=0 if keep else int(leaked.sum()),
        within_training=len(texts["train"]) - len(set(texts["train"])),
        conflicting=sum(len(found) > 1 for found in labels.values()),
        in_test=sum(text in test for text in texts["train"]),
    )
    if duplicates.dropped == len(leaked):
        raise UserError("every training row is in validation, too: give other rows, or set keep_duplicates=true")
    if duplicates.dropped:
        tables = {**tables, "train": tables["train"].filter(pa.array(~leaked))}
    return tables, duplicates


def _texts(table: pa.Table) -> list[tuple[str, ...]]:
    columns = [table.column(name).to_pylist() for name in table.column_names if name != "label"]
    return list(zip(*columns, strict=True))


def split_validation(table: pa.Table, fraction: float, seed: int) -> dict[str, pa.Table]:
    """Takes a stratified validation split out of the training rows; a class of one row stays in training.

    Raises:
        UserError: There are too few rows for two splits.
    """
    rows = max(1, round(table.num_rows * fraction))
    strata = _strata(table)
    spare = int(sum(np.unique(strata, return_counts=True)[1] - 1))
    if spare < 1 or rows >= table.num_rows:
        raise UserError(f"{table.num_rows} training rows are too few to take a validation split from: give one")
    chosen = _sample(strata, min(rows, spare), seed, left_behind=1)
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[chosen] = True
    return {"train": table.filter(pa.array(~mask)), "validation": table.filter(pa.array(mask))}


def limit_rows(table: pa.Table, rows: int | None, seed: int) -> pa.Table:
    """Keeps at most `rows` rows in their order, each class in its proportion and, where it can be, with one row."""
    if rows is None or rows >= table.num_rows:
        return table
    return table.take(pa.array(_sample(_strata(table), rows, seed, left_behind=0)))


def check_classes(tables: dict[str, pa.Table], label_names: list[str]) -> None:
    """Checks that a model can learn all that it is asked for.

    Raises:
        UserError: Training has only one class, or lacks one that another split has.
    """
    if not label_names:
        return
    trained = set(tables["train"].column("label").to_pylist())
    for split, table in tables.items():
        lacking = sorted(set(table.column("label").to_pylist()) - trained)
        if lacking:
            name = label_names[lacking[0]]
            raise UserError(
                f"the {split} split has the class '{name}', which the training split lacks: add such rows, or keep "
                "more of them (max_train_rows)"
            )
    if len(trained) < 2:
        raise UserError(f"the training split has only the class '{label_names[trained.pop()]}': add rows of another")


def _strata(table: pa.Table) -> np.ndarray:
    """The class of each row, or the range that its target falls in: (rows,) int64."""
    labels = table.column("label").to_numpy()
    if labels.dtype == np.int64:
        return labels
    order = labels.argsort(kind="stable").argsort(kind="stable")
    return order * _TARGET_RANGES // len(labels)


def _sample(strata: np.ndarray, rows: int, seed: int, left_behind: int) -> np.ndarray:
    """Draws `rows` sorted indices, in the strata's proportions.

    Args:
        strata: (rows,) stratum of each row.
        rows: How many to draw.
        seed: Of the drawing. `RandomState`, unlike newer generators, promises the same stream for ever.
        left_behind: Rows of each stratum that must not be drawn.
    """
    names, counts = np.unique(strata, return_counts=True)
    most = counts - left_behind
    quotas = _quotas(counts * rows / len(strata), np.minimum(most, 1 if rows >= len(names) else 0), most, rows)
    shuffled = np.random.RandomState(seed).permutation(len(strata))
    taken: Counter[int] = Counter()
    room = dict(zip(names.tolist(), quotas.tolist(), strict=True))
    chosen = []
    for index in shuffled.tolist():
        stratum = int(strata[index])
        if taken[stratum] < room[stratum]:
            taken[stratum] += 1
            chosen.append(index)
    return np.sort(np.array(chosen, dtype=np.int64))


def _quotas(exact: np.ndarray, least: np.ndarray, most: np.ndarray, rows: int) -> np.ndarray:
    """Whole numbers near `exact`, between `least` and `most`, that sum to `rows` (largest remainder)."""
    quotas = np.clip(np.floor(exact).astype(np.int64), least, most)
    while quotas.sum() != rows:
        short = quotas.sum() < rows
        movable = quotas < most if short else quotas > least
        want = np.where(movable, exact - quotas, -np.inf if short else np.inf)
        quotas[want.argmax() if short else want.argmin()] += 1 if short else -1
    return quotas
