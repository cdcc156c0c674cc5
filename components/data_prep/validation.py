"""A validation split taken from the training rows, where the data has none."""

from dataclasses import dataclass

import numpy as np

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.progress import Progress
from compaware.components.data_prep.label_notes import fold
from compaware.components.data_prep.rows import TARGET_RANGES, target_ranges, whole_quotas
from compaware.components.data_prep.split import Split

# Of rows and texts: half the memory of int64, for data of up to two thousand million rows.
_INDEX = np.int32


@dataclass(frozen=True)
class _Texts:
    """The different texts of a split; copies of one text, in the sense of `fold`, count as one.

    Attributes:
        of_row: (rows,) the text of each row; texts are numbered in the order of their first rows.
        first_rows: (texts,) the first row of each.
        sizes: (texts,) how many rows each has.
    """

    of_row: np.ndarray
    first_rows: np.ndarray
    sizes: np.ndarray


@dataclass
class _Classes:
    """Which texts have which classes (or labels of multi-label data); a text in conflict has several.

    Attributes:
        texts: (pairs,) sorted by class.
        classes: (pairs,) the class of each; each pair is there once.
        starts: (classes + 1,) where each class begins in the pairs.
        in_training: (classes,) texts of each that are in training.
        in_validation: (classes,) texts of each that are in validation.
    """

    texts: np.ndarray
    classes: np.ndarray
    starts: np.ndarray
    in_training: np.ndarray
    in_validation: np.ndarray

    def texts_of(self, name: int) -> np.ndarray:
        """The texts that have this class."""
        return self.texts[self.starts[name] : self.starts[name + 1]]


def split_validation(split: Split, fraction: float, seed: int) -> tuple[dict[str, Split], str]:
    """Takes a stratified validation split out of the training rows.

    Copies of one text stay together. Each class stays in training, and is in validation where it has two texts; the
    split is larger than asked for where that needs it.

    Returns:
        The splits, and a note that says how they came about.

    Raises:
        UserError: There are too few texts for two splits.
    """
    texts = _find_texts(split)
    classes = None if split.labels.dtype == np.float64 else _find_classes(texts.of_row, split.labels)
    wanted = max(1, round(split.num_rows * fraction))
    if classes is None:
        strata = _target_strata(texts, split.labels, wanted)
    else:
        strata = _class_strata(classes, len(texts.sizes))
    chosen = _draw(texts, strata, wanted, seed, every_stratum=classes is not None)
    if classes:
        _give_back(classes, chosen, texts.sizes)
        _cover(classes, chosen, texts.sizes)
    if not chosen.any() and len(chosen) > 1 and classes is None:
        chosen[texts.sizes.argmin()] = True
    if not chosen.any():
        raise UserError(_why_too_few(texts, classes))
    mask = chosen[texts.of_row]
    rows = int(mask.sum())
    note = f"There was no validation split: {rows} rows of training became one (seed {seed})."
    if abs(rows - wanted) > 1 + wanted // 10:
        note += f" {wanted} were asked for; copies of a text stay together, and classes are on both sides."
    return {"train": split.take(~mask), "validation": split.take(mask)}, note


def _find_texts(split: Split) -> _Texts:
    progress = Progress("row", split.num_rows)
    hashes = np.empty(split.num_rows, dtype=np.int64)
    start = 0
    for table in split.tables():
        columns = [map(fold, column.to_pylist()) for column in table.drop_columns("label").columns]
        stop = start + table.num_rows
        hashes[start:stop] = [hash(row) for row in zip(*columns, strict=True)]
        start = stop
        progress.update(stop, "looking for copies of a text")
    _, first_rows, of_row = np.unique(hashes, return_index=True, return_inverse=True)
    del hashes
    # Hashes are others in each process; the order of first rows is not.
    order = first_rows.argsort()
    numbered = order.argsort().astype(_INDEX)[of_row.reshape(-1)]
    return _Texts(numbered, first_rows[order].astype(_INDEX), np.bincount(numbered).astype(_INDEX))


def _find_classes(of_row: np.ndarray, labels: np.ndarray) -> _Classes:
    rows, classes = np.nonzero(labels) if labels.ndim == 2 else (np.arange(len(labels)), labels)
    texts = int(of_row.max()) + 1
    pairs = np.unique(classes.astype(np.int64) * texts + of_row[rows])
    found, members = (pairs // texts).astype(_INDEX), (pairs % texts).astype(_INDEX)
    count = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    in_training = np.bincount(found, minlength=count)
    return _Classes(members, found, np.append(0, in_training.cumsum()), in_training, np.zeros_like(in_training))


def _class_strata(classes: _Classes, texts: int) -> np.ndarray:
    """The class of each text, or the rarest of several: (texts,). Texts without a label have a stratum of their own.

    By rarest label, a label of few texts is in each part in its proportion; frequent ones are there by themselves.
    """
    strata = np.full(texts, len(classes.in_training), _INDEX)
    rarest_last = np.lexsort((-classes.classes, -classes.in_training[classes.classes]))
    strata[classes.texts[rarest_last]] = classes.classes[rarest_last]
    return strata


def _target_strata(texts: _Texts, targets: np.ndarray, drawn: int) -> np.ndarray:
    """The range of each text's mean target: (texts,); a range has two texts or more, and can give one."""
    means = np.bincount(texts.of_row, targets) / texts.sizes
    return target_ranges(means, max(1, min(TARGET_RANGES, drawn, len(means) // 2)))


def _draw(texts: _Texts, strata: np.ndarray, rows: int, seed: int, *, every_stratum: bool) -> np.ndarray:
    """Draws texts with about `rows` rows, in the strata's proportions: (texts,) bool.

    Args:
        texts: To draw from.
        strata: (texts,) stratum of each.
        rows: How many rows they should have in all.
        seed: Of the drawing. `RandomState`, unlike newer generators, promises the same stream for ever.
        every_stratum: Draw more where else a stratum that can spare a text would give none.
    """
    names, inverse = np.unique(strata, return_inverse=True)
    inverse = inverse.astype(_INDEX)
    counts = np.bincount(inverse, texts.sizes).astype(np.int64)
    smallest = np.full(len(names), len(texts.of_row))
    np.minimum.at(smallest, inverse, texts.sizes)
    most = counts - smallest
    shared = int(np.count_nonzero(most))
    rows = min(max(rows, shared) if every_stratum else rows, int(most.sum()))
    least = np.minimum(most, 1 if rows >= shared else 0)
    quotas = whole_quotas(counts * rows / len(texts.of_row), least, most, rows)
    shuffled = np.random.RandomState(seed).permutation(len(texts.of_row))
    is_first = np.zeros(len(texts.of_row), dtype=bool)
    is_first[texts.first_rows] = True
    drawn = texts.of_row[shuffled[is_first[shuffled]]]
    del shuffled, is_first
    # Stratum by stratum, each in the order of the shuffle.
    grouped = drawn[np.argsort(inverse[drawn], kind="stable")]
    chosen = np.zeros(len(texts.sizes), dtype=bool)
    shares = zip(quotas.tolist(), counts.tolist(), strict=True)
    for members, (quota, count) in zip(np.split(grouped, np.bincount(inverse).cumsum()[:-1]), shares, strict=True):
        # Its share of the texts, too: a text of many copies that stays would else send all others here.
        most_texts = -(-len(members) * quota // count)
        chosen[_fill(members, texts.sizes, quota)[:most_texts]] = True
    return chosen


def _fill(texts: np.ndarray, sizes: np.ndarray, quota: int) -> np.ndarray:
    """The first of these texts whose rows come nearest to `quota`; one with too many copies is passed over."""
    filled = [texts[:0]]
    while quota > 0 and len(texts := texts[sizes[texts] <= 2 * quota]):
        fitting = max(1, int(np.searchsorted(sizes[texts].cumsum(), quota, side="right")))
        filled.append(texts[:fitting])
        quota -= int(sizes[texts[:fitting]].sum())
        texts = texts[fitting:]
    return np.concatenate(filled)


def _give_back(classes: _Classes, chosen: np.ndarray, sizes: np.ndarray) -> None:
    """Puts a text of each class that training lacks back into it."""
    moved = classes.classes[chosen[classes.texts]]
    classes.in_validation += np.bincount(moved, minlength=len(classes.in_validation))
    classes.in_training -= classes.in_validation
    for name in np.flatnonzero((classes.in_training == 0) & (classes.in_validation > 0)).tolist():
        if classes.in_training[name] == 0:
            members = classes.texts_of(name)
            _move(classes, chosen, int(members[sizes[members].argmax()]), into_validation=False)


def _cover(classes: _Classes, chosen: np.ndarray, sizes: np.ndarray) -> None:
    """Moves a text of each class that validation lacks into it, where training keeps one of all its classes."""
    lacking = (classes.in_validation == 0) & (classes.in_training > 1)
    for name in sorted(np.flatnonzero(lacking).tolist(), key=lambda name: int(classes.in_training[name])):
        if classes.in_validation[name]:
            continue
        spare = np.ones(len(chosen), dtype=bool)
        spare[classes.texts[classes.in_training[classes.classes] < 2]] = False
        members = classes.texts_of(name)
        members = members[spare[members] & ~chosen[members]]
        if len(members):
            # One with more of what is lacking leaves room for the others.
            use = np.bincount(classes.texts, classes.in_validation[classes.classes] == 0, len(chosen))[members]
            _move(classes, chosen, int(members[np.lexsort((sizes[members], -use))[0]]), into_validation=True)


def _move(classes: _Classes, chosen: np.ndarray, text: int, *, into_validation: bool) -> None:
    chosen[text] = into_validation
    names = classes.classes[classes.texts == text]
    classes.in_validation[names] += 1 if into_validation else -1
    classes.in_training[names] += -1 if into_validation else 1


def _why_too_few(texts: _Texts, classes: _Classes | None) -> str:
    rows, different = len(texts.of_row), len(texts.sizes)
    if different == 1 and rows > 1:
        reason = f"all {rows} training rows have the same text"
    elif classes is not None and different > 1:
        reason = f"no class has two different texts in the {rows} training rows"
    else:
        reason = f"{rows} training rows are too few"
    return f"no validation split can be taken from training, since {reason}: add rows, or give a validation split"
