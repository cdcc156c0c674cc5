"""Which rows stay: duplicates and stratified limits."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.progress import Progress
from compaware.components.data_prep.label_notes import counted, short
from compaware.components.data_prep.split import Split

# Regression targets are stratified by this many ranges of equal size.
TARGET_RANGES = 10


@dataclass(frozen=True)
class Duplicates:
    """Exact duplicates (same text in every text column).

    Attributes:
        found: Training rows whose text is in a validation split, too.
        dropped: How many of them were left out.
        within_training: Training rows that repeat an earlier one.
        conflicting: Texts that have different labels in all splits taken together.
        in_test: Training rows whose text is in the test split.
        validation_in_test: Validation rows whose text is in the test split.
    """

    found: int
    dropped: int
    within_training: int
    conflicting: int
    in_test: int
    validation_in_test: int

    def notes(self) -> list[str]:
        """What of it is worth saying."""
        sentences = {
            f"{self.found} training rows are in validation, too; {self.dropped} of them were dropped.": self.found,
            f"{self.within_training} training rows repeat an earlier one; they were kept.": self.within_training,
            f"{self.conflicting} texts have different labels in different rows.": self.conflicting,
            f"{self.in_test} training rows are in the test split, too; they were kept.": self.in_test,
            f"{self.validation_in_test} validation rows are in the test split, too; they were kept.": (
                self.validation_in_test
            ),
        }
        return [sentence for sentence, count in sentences.items() if count]


def drop_duplicates(splits: dict[str, Split], *, keep: bool) -> tuple[dict[str, Split], Duplicates]:
    """Finds exact duplicates and leaves those of validation out of training, unless `keep`.

    Texts are known by a hash of 64 bits: that two different ones of a hundred million share one has a chance of 3 in
    10,000.

    Raises:
        UserError: No training row would be left.
    """
    hashes = _hash_texts(splits)
    # From here on, only rows whose text occurs more than once matter.
    repeated = pa.array(_repeated(np.concatenate(list(hashes.values()))))
    where = {split: _indices_in(found, repeated) for split, found in hashes.items()}
    texts = {split: hashes[split][rows] for split, rows in where.items()}
    validation = np.concatenate([found for split, found in texts.items() if split.startswith("validation")])
    test = texts.get("test", validation[:0])
    leaked = where["train"][np.isin(texts["train"], validation)]
    duplicates = Duplicates(
        found=len(leaked),
        dropped=0 if keep else len(leaked),
        within_training=len(texts["train"]) - len(np.unique(texts["train"])),
        conflicting=_count_conflicting(
            np.concatenate(list(texts.values())),
            np.concatenate([splits[split].labels[rows] for split, rows in where.items()]),
        ),
        in_test=int(np.isin(texts["train"], test).sum()),
        validation_in_test=int(np.isin(validation, test).sum()),
    )
    if duplicates.dropped == splits["train"].num_rows:
        raise UserError("every training row is in validation, too: give other rows, or set keep_duplicates=true")
    if duplicates.dropped:
        kept = np.ones(splits["train"].num_rows, dtype=bool)
        kept[leaked] = False
        splits = {**splits, "train": splits["train"].take(kept)}
    return splits, duplicates


def _hash_texts(splits: dict[str, Split]) -> dict[str, np.ndarray]:
    """A hash of each row's texts: (rows,) int64 for each split, comparable within this process only."""
    progress = Progress("row", sum(split.num_rows for split in splits.values()))
    done = 0
    hashes = {}
    for name, split in splits.items():
        found = np.empty(split.num_rows, dtype=np.int64)
        start = 0
        for table in split.tables():
            texts = [column.to_pylist() for column in table.drop_columns("label").columns]
            stop = start + table.num_rows
            # Python's hash of a string is SipHash, of 64 bits.
            found[start:stop] = [hash(row) for row in zip(*texts, strict=True)]
            start = stop
            progress.update(done + stop, "looking for duplicates")
        done += split.num_rows
        hashes[name] = found
    return hashes


def _repeated(values: np.ndarray) -> np.ndarray:
    """The values that occur more than once, each once; sorts `values` in place."""
    values.sort()
    return np.unique(values[1:][values[1:] == values[:-1]])


def _indices_in(values: np.ndarray, wanted: pa.Array) -> np.ndarray:
    return np.flatnonzero(pc.is_in(pa.array(values), value_set=wanted))


def _count_conflicting(texts: np.ndarray, labels: np.ndarray) -> int:
    """How many texts have several labels, or in multi-label data several sets of them."""
    if labels.ndim == 2:
        labels = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    by_text = pa.table({"text": texts, "label": labels}).group_by("text")
    ranges = by_text.aggregate([("label", "min"), ("label", "max")])
    return int(np.count_nonzero(ranges["label_min"].to_numpy() != ranges["label_max"].to_numpy()))


def limit_rows(split: Split, rows: int | None, seed: int) -> Split:
    """Keeps at most `rows` rows in their order, each class in its proportion and, where it can be, with one row."""
    if rows is None or rows >= split.num_rows:
        return split
    return split.take(_sample(_strata(split.labels, rows), rows, seed))


def check_classes(splits: dict[str, Split], label_names: list[str], remedy: str) -> None:
    """Checks that a model can learn all that it is asked for.

    Args:
        splits: The rows as they are at this stage.
        label_names: Class names in index order; empty for regression.
        remedy: What to change where training lacks a class.

    Raises:
        UserError: Training has only one class, or lacks one that another split has.
    """
    train = splits["train"].labels
    if not label_names:
        if train.min() == train.max():
            raise UserError(f"all training rows have the label {train[0]:g}: regression needs different ones")
        return
    trained = _present(train)
    for name, split in splits.items():
        lacking = np.setdiff1d(_present(split.labels), trained)
        if len(lacking):
            shown = short(label_names[lacking[0]])
            raise UserError(f"the {name} split has the class '{shown}', which the training split lacks: {remedy}")
    if len(trained) < 2:
        shown = short(label_names[trained[0]])
        raise UserError(f"the training split has only the class '{shown}': add rows of another, or set label_column")


def find_absent(splits: dict[str, Split], label_names: list[str]) -> list[str]:
    """Notes about classes that a split has no row of, so that they are not learned or not judged."""
    if not label_names:
        return [
            f"All targets of the {name} split are {split.labels[0]:g}: it says nothing about the model."
            for name, split in splits.items()
            if name != "train" and split.labels.min() == split.labels.max()
        ]
    trained = _present(splits["train"].labels)
    notes = []
    for name, split in splits.items():
        here = _present(split.labels)
        wanted = np.arange(len(label_names)) if name == "train" else trained
        absent = [label_names[index] for index in np.setdiff1d(wanted, here)]
        if len(here) == 1 and absent and split.labels.ndim == 1:
            only = short(label_names[here[0]])
            notes.append(f"The {name} split has only the class '{only}': a model that always says so is right there.")
        elif absent:
            word = "class" if split.labels.ndim == 1 else "label"
            notes.append(f"The {name} split has no row of {counted(absent, word)}.")
    return notes


def _present(labels: np.ndarray) -> np.ndarray:
    """The classes or labels that some row has, ascending."""
    return np.flatnonzero(labels.any(axis=0)) if labels.ndim == 2 else np.unique(labels)


def _strata(labels: np.ndarray, drawn: int) -> np.ndarray:
    """The class of each row, its rarest label (or that it has none), or the range of its target: (rows,) int64.

    Targets have no more ranges than rows are drawn, so that each range can give one.
    """
    if labels.ndim == 2:
        # By rarest label, a label of few rows is in each part in its proportion; frequent ones are there by themselves.
        rows = labels.sum(axis=0)
        rarest = np.where(labels == 1, rows, rows.max() + 1).argmin(axis=1)
        return np.where(labels.any(axis=1), rarest, labels.shape[1])
    if labels.dtype == np.int64:
        return labels
    return target_ranges(labels, min(TARGET_RANGES, drawn))


def target_ranges(targets: np.ndarray, ranges: int) -> np.ndarray:
    """The range of each target, of so many that have equally many targets: (rows,) int64."""
    order = targets.argsort(kind="stable").argsort(kind="stable")
    return order * ranges // len(targets)


def _sample(strata: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Draws `rows` sorted indices, in the strata's proportions.

    Args:
        strata: (rows,) stratum of each row.
        rows: How many to draw.
        seed: Of the drawing. `RandomState`, unlike newer generators, promises the same stream for ever.
    """
    names, counts = np.unique(strata, return_counts=True)
    quotas = whole_quotas(counts * rows / len(strata), np.full(len(names), int(rows >= len(names))), counts, rows)
    shuffled = np.random.RandomState(seed).permutation(len(strata))
    # Stratum by stratum, each in the order of the shuffle: the first rows of each, up to its quota.
    grouped = shuffled[np.argsort(strata[shuffled], kind="stable")]
    starts = np.cumsum(counts) - counts
    chosen = [grouped[start : start + quota] for start, quota in zip(starts, quotas, strict=True)]
    return np.sort(np.concatenate(chosen))


def whole_quotas(exact: np.ndarray, least: np.ndarray, most: np.ndarray, rows: int) -> np.ndarray:
    """Whole numbers near `exact`, between `least` and `most`, that sum to `rows` (largest remainder)."""
    quotas = np.clip(np.floor(exact).astype(np.int64), least, most)
    while quotas.sum() != rows:
        short = quotas.sum() < rows
        movable = quotas < most if short else quotas > least
        want = np.where(movable, exact - quotas, -np.inf if short else np.inf)
        quotas[want.argmax() if short else want.argmin()] += 1 if short else -1
    return quotas
