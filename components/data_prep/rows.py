"""Drops duplicates, limits rows by stratified samples, and checks the classes of each split."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.progress import Progress
from compaware.components.core.data.dataset import MISMATCHED, TEST
from compaware.components.data_prep.messages import count_names, escape_name
from compaware.components.data_prep.split import Split, TextRows

# Regression targets are stratified by this many ranges with equally many targets.
TARGET_RANGES = 10
Rows = TypeVar("Rows", bound=TextRows)


@dataclass(frozen=True)
class Duplicates:
    """Numbers of exact duplicates: rows with the same text in every text column.

    Attributes:
        in_validation: Training rows whose text is also in a validation split.
        in_test: Training rows whose text is also in the test split.
        found: Training rows whose text is in either.
        test_in_validation: Test rows whose text is also in `validation`.
        mismatched_in_validation: Rows of `validation_mismatched` whose text is also in `validation`.
        within_training: Training rows that repeat an earlier one.
        conflicting: Texts that have different labels, in the same or in different splits.
        kept: Whether the rows in `found`, `test_in_validation` and `mismatched_in_validation` were kept; otherwise all
            of them were dropped.
    """

    in_validation: int
    in_test: int
    found: int
    test_in_validation: int
    mismatched_in_validation: int
    within_training: int
    conflicting: int
    kept: bool

    @property
    def dropped(self) -> int:
        """Number of training rows that were dropped."""
        return 0 if self.kept else self.found

    def notes(self) -> list[str]:
        """Returns a sentence for each number that is not 0."""
        done = "kept" if self.kept else "dropped"
        sentences = {
            f"Training rows that are also in validation: {self.in_validation} ({done}).": self.in_validation,
            f"Training rows that are also in test: {self.in_test} ({done}).": self.in_test,
            f"Test rows that are also in validation: {self.test_in_validation} ({done}).": self.test_in_validation,
            f"Rows of {MISMATCHED} that are also in validation: {self.mismatched_in_validation} ({done}).": (
                self.mismatched_in_validation
            ),
            f"Training rows that repeat an earlier one: {self.within_training} (kept).": self.within_training,
            f"Texts that have different labels in different rows: {self.conflicting}.": self.conflicting,
        }
        return [sentence for sentence, count in sentences.items() if count]


def drop_duplicates(splits: dict[str, Split], *, keep: bool) -> tuple[dict[str, Split], Duplicates]:
    """Finds exact duplicates and, unless `keep`, drops those that would make a score look better than it is.

    These are training rows whose text is also in a validation split or in test, and rows of test and of
    `validation_mismatched` whose text is also in `validation`. Rows of `validation` stay, so that a test split changes
    no choice that is made on validation. A split that has no other rows is left out.

    Texts are compared by 64-bit hashes: among a hundred million texts, a collision has a probability of 3 in 10,000.

    Raises:
        UserError: No training row is left.
    """
    hashes = _hash_texts(splits)
    # Only rows whose text occurs more than once matter from here on.
    repeated = pa.array(_repeated(np.concatenate(list(hashes.values()))))
    repeated_rows = {split: _indices_in(split_hashes, repeated) for split, split_hashes in hashes.items()}
    texts = {split: hashes[split][rows] for split, rows in repeated_rows.items()}
    none = texts["train"][:0]
    validation, mismatched, test = (texts.get(split, none) for split in ("validation", MISMATCHED, TEST))
    in_validation = np.isin(texts["train"], np.append(validation, mismatched))
    in_test = np.isin(texts["train"], test)
    leaked = {"train": repeated_rows["train"][in_validation | in_test]}
    for split in {MISMATCHED, TEST} & splits.keys():
        leaked[split] = repeated_rows[split][np.isin(texts[split], validation)]
    duplicates = Duplicates(
        in_validation=int(in_validation.sum()),
        in_test=int(in_test.sum()),
        found=len(leaked["train"]),
        test_in_validation=len(leaked.get(TEST, none)),
        mismatched_in_validation=len(leaked.get(MISMATCHED, none)),
        within_training=len(texts["train"]) - len(np.unique(texts["train"])),
        conflicting=_count_conflicting(
            np.concatenate(list(texts.values())),
            np.concatenate([splits[split].labels[rows] for split, rows in repeated_rows.items()]),
        ),
        kept=keep,
    )
    if keep:
        return splits, duplicates
    left = {name: _without(split, leaked[name]) if name in leaked else split for name, split in splits.items()}
    if not left["train"].num_rows:
        raise UserError(
            "every training row is in validation or test: add other training rows, or set keep_duplicates=true"
        )
    return {name: split for name, split in left.items() if split.num_rows}, duplicates


def _without(split: Split, rows: np.ndarray) -> Split:
    """Returns a split without the rows at these indices."""
    if not len(rows):
        return split
    is_kept = np.ones(split.num_rows, dtype=bool)
    is_kept[rows] = False
    return split.take(is_kept)


def _hash_texts(splits: dict[str, Split]) -> dict[str, np.ndarray]:
    """Returns (rows,) int64 hashes of the rows' texts for each split, comparable within this process only."""
    progress = Progress("row", sum(split.num_rows for split in splits.values()))
    done = 0
    hashes = {}
    for name, split in splits.items():
        split_hashes = np.empty(split.num_rows, dtype=np.int64)
        start = 0
        for table in split.text_tables():
            texts = [column.to_pylist() for column in table.columns]
            stop = start + table.num_rows
            # Python hashes strings by SipHash, to 64 bits.
            split_hashes[start:stop] = [hash(row) for row in zip(*texts, strict=True)]
            start = stop
            progress.update(done + stop, "looking for duplicates")
        done += split.num_rows
        hashes[name] = split_hashes
    return hashes


def _repeated(values: np.ndarray) -> np.ndarray:
    """Returns the distinct values that occur more than once; sorts `values` in place."""
    values.sort()
    return np.unique(values[1:][values[1:] == values[:-1]])


def _indices_in(values: np.ndarray, wanted: pa.Array) -> np.ndarray:
    return np.flatnonzero(pc.is_in(pa.array(values), value_set=wanted))


def _count_conflicting(texts: np.ndarray, labels: np.ndarray) -> int:
    """Returns the number of texts with different labels, or in multi-label data with different sets of labels."""
    if labels.ndim == 2:
        labels = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    by_text = pa.table({"text": texts, "label": labels}).group_by("text")
    ranges = by_text.aggregate([("label", "min"), ("label", "max")])
    return int(np.count_nonzero(ranges["label_min"].to_numpy() != ranges["label_max"].to_numpy()))


def limit_rows(split: Rows, rows: int | None, seed: int) -> Rows:
    """Keeps at most `rows` rows, in order, with classes in proportion and at least one row each if `rows` allows."""
    if rows is None or rows >= split.num_rows:
        return split
    strata = _strata(split.labels, rows) if isinstance(split, Split) else np.zeros(split.num_rows, dtype=np.int64)
    return split.take(_sample(strata, rows, seed))


def check_classes(splits: dict[str, Split], label_names: list[str], remedy: str) -> None:
    """Checks that the training split has every class that another split has, and more than one.

    Args:
        splits: The current rows.
        label_names: Class names in index order; empty for regression.
        remedy: What to change if training lacks a class, for the message.

    Raises:
        UserError: The training split has only one class, or lacks one that another split has.
    """
    train = splits["train"].labels
    if not label_names:
        if train.min() == train.max():
            raise UserError(f"all training rows have the label {train[0]:g}: add rows with other labels")
        return
    trained = _present(train)
    for name, split in splits.items():
        missing = np.setdiff1d(_present(split.labels), trained)
        if len(missing):
            label = escape_name(label_names[missing[0]])
            raise UserError(f"the {name} split has the class '{label}', which the training split lacks: {remedy}")
    if len(trained) < 2:
        label = escape_name(label_names[trained[0]])
        raise UserError(f"the training split has only the class '{label}': add other classes, or set label_column")


def find_missing_classes(splits: dict[str, Split], label_names: list[str]) -> list[str]:
    """Returns notes about classes without a row in a split, which are then not learned or not evaluated."""
    if not label_names:
        return [
            f"All targets of the {name} split are {split.labels[0]:g}, so it cannot evaluate a model."
            for name, split in splits.items()
            if name != "train" and split.labels.min() == split.labels.max()
        ]
    trained = _present(splits["train"].labels)
    notes = []
    for name, split in splits.items():
        present = _present(split.labels)
        wanted = np.arange(len(label_names)) if name == "train" else trained
        absent = [label_names[index] for index in np.setdiff1d(wanted, present)]
        if len(present) == 1 and absent and split.labels.ndim == 1:
            only = escape_name(label_names[present[0]])
            notes.append(f"The {name} split has only the class '{only}', so always predicting it makes no error there.")
        elif absent:
            noun = "class" if split.labels.ndim == 1 else "label"
            notes.append(f"The {name} split has no rows of {count_names(absent, noun)}.")
    return notes


def _present(labels: np.ndarray) -> np.ndarray:
    """Returns the classes or labels that some row has, ascending."""
    return np.flatnonzero(labels.any(axis=0)) if labels.ndim == 2 else np.unique(labels)


def _strata(labels: np.ndarray, drawn: int) -> np.ndarray:
    """Returns (rows,) int64: the class of each row, its rarest label (or that it has none), or the range of its target.

    There are at most as many ranges as rows to draw, so that each range can give a row.
    """
    if labels.ndim == 2:
        # Stratifying by the rarest label keeps rare labels in proportion; frequent ones come close without help.
        rows = labels.sum(axis=0)
        rarest = np.where(labels == 1, rows, rows.max() + 1).argmin(axis=1)
        return np.where(labels.any(axis=1), rarest, labels.shape[1])
    if labels.dtype == np.int64:
        return labels
    return target_ranges(labels, min(TARGET_RANGES, drawn))


def target_ranges(targets: np.ndarray, ranges: int) -> np.ndarray:
    """Returns (rows,) int64: the range of each target, of this many ranges with equally many targets."""
    order = targets.argsort(kind="stable").argsort(kind="stable")
    return order * ranges // len(targets)


def _sample(strata: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Draws row indices, sorted, in the proportions of the strata.

    Args:
        strata: (rows,) stratum of each row.
        rows: Number of rows to draw.
        seed: Seed of the draw. `RandomState`, unlike newer generators, guarantees its stream for all versions of numpy.
    """
    names, counts = np.unique(strata, return_counts=True)
    quotas = whole_quotas(counts * rows / len(strata), np.full(len(names), int(rows >= len(names))), counts, rows)
    shuffled = np.random.RandomState(seed).permutation(len(strata))
    # Group the shuffled rows by stratum and take the first rows of each, up to its quota.
    grouped = shuffled[np.argsort(strata[shuffled], kind="stable")]
    starts = np.cumsum(counts) - counts
    chosen = [grouped[start : start + quota] for start, quota in zip(starts, quotas, strict=True)]
    return np.sort(np.concatenate(chosen))


def whole_quotas(exact: np.ndarray, least: np.ndarray, most: np.ndarray, rows: int) -> np.ndarray:
    """Returns whole numbers near `exact`, between `least` and `most`, that sum to `rows` (largest remainder)."""
    quotas = np.clip(np.floor(exact).astype(np.int64), least, most)
    while quotas.sum() != rows:
        too_few = quotas.sum() < rows
        movable = quotas < most if too_few else quotas > least
        remainders = np.where(movable, exact - quotas, -np.inf if too_few else np.inf)
        quotas[remainders.argmax() if too_few else remainders.argmin()] += 1 if too_few else -1
    return quotas
