"""Takes a validation or test split from the training rows if the data has none."""

from dataclasses import dataclass

import numpy as np

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.progress import Progress
from compaware.components.core.data.dataset import TEST
from compaware.components.data_prep.normalize import normalize_text
from compaware.components.data_prep.rows import TARGET_RANGES, target_ranges, whole_quotas
from compaware.components.data_prep.split import Split

# Type of row and text indices: half the memory of int64, for up to two billion rows.
_INDEX = np.int32


@dataclass(frozen=True)
class _Texts:
    """The distinct texts of a split; texts that are equal after `normalize_text` count as one.

    Attributes:
        of_row: (rows,) the text of each row; texts are numbered in the order of their first rows.
        first_rows: (texts,) the first row of each text.
        sizes: (texts,) the number of rows of each text.
    """

    of_row: np.ndarray
    first_rows: np.ndarray
    sizes: np.ndarray


@dataclass
class _Classes:
    """Pairs of texts and their classes, or their labels in multi-label data; a text may have several.

    Attributes:
        texts: (pairs,) the text of each pair.
        classes: (pairs,) the class of each pair; pairs are distinct and sorted by class.
        starts: (classes + 1,) the first pair of each class.
        in_training: (classes,) number of texts of each class in training.
        in_held_out: (classes,) number of texts of each class in the new split.
    """

    texts: np.ndarray
    classes: np.ndarray
    starts: np.ndarray
    in_training: np.ndarray
    in_held_out: np.ndarray

    def texts_of(self, index: int) -> np.ndarray:
        """Returns the texts of a class."""
        return self.texts[self.starts[index] : self.starts[index + 1]]


def take_split(train: Split, name: str, requested: int, seed: int) -> tuple[dict[str, Split], str]:
    """Takes a stratified split out of the training rows.

    Copies of a text stay in one split. Each class stays in training and, if it has two texts, is in the new split too;
    the new split may be larger than requested for that.

    Args:
        train: The training rows.
        name: Name of the new split.
        requested: Rows of the new split.
        seed: Seed of the draw.

    Returns:
        The new split and what is left of `train`, and a note about them.

    Raises:
        UserError: There are too few different texts for two splits.
    """
    texts = _find_texts(train)
    classes = None if train.labels.dtype == np.float64 else _find_classes(texts.of_row, train.labels)
    if classes is None:
        strata = _target_strata(texts, train.labels, requested)
    else:
        strata = _class_strata(classes, len(texts.sizes))
    chosen = _draw(texts, strata, requested, seed, every_stratum=classes is not None)
    if classes:
        _restore_training(classes, chosen, texts.sizes)
        _complete_held_out(classes, chosen, texts.sizes)
    if not chosen.any() and len(chosen) > 1 and classes is None:
        chosen[texts.sizes.argmin()] = True
    if not chosen.any():
        raise UserError(_explain_too_few(name, texts, classes))
    mask = chosen[texts.of_row]
    rows = int(mask.sum())
    kind = "labelled test" if name == TEST else name
    note = f"There was no {kind} split, so {rows} training rows were moved into one (seed {seed})."
    if abs(rows - requested) > 1 + requested // 10:
        note += f" {requested} were requested, but copies of a text stay together and classes are in both splits."
    return {"train": train.take(~mask), name: train.take(mask)}, note


def _find_texts(train: Split) -> _Texts:
    progress = Progress("row", train.num_rows)
    hashes = np.empty(train.num_rows, dtype=np.int64)
    start = 0
    for table in train.text_tables():
        columns = [map(normalize_text, column.to_pylist()) for column in table.columns]
        stop = start + table.num_rows
        hashes[start:stop] = [hash(row) for row in zip(*columns, strict=True)]
        start = stop
        progress.update(stop, "looking for copies of a text")
    _, first_rows, of_row = np.unique(hashes, return_index=True, return_inverse=True)
    del hashes
    # Hashes differ between processes; the order of first rows does not.
    order = first_rows.argsort()
    numbered = order.argsort().astype(_INDEX)[of_row.reshape(-1)]
    return _Texts(numbered, first_rows[order].astype(_INDEX), np.bincount(numbered).astype(_INDEX))


def _find_classes(of_row: np.ndarray, labels: np.ndarray) -> _Classes:
    rows, classes = np.nonzero(labels) if labels.ndim == 2 else (np.arange(len(labels)), labels)
    texts = int(of_row.max()) + 1
    pairs = np.unique(classes.astype(np.int64) * texts + of_row[rows])
    pair_classes, pair_texts = (pairs // texts).astype(_INDEX), (pairs % texts).astype(_INDEX)
    count = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    in_training = np.bincount(pair_classes, minlength=count)
    return _Classes(
        pair_texts, pair_classes, np.append(0, in_training.cumsum()), in_training, np.zeros_like(in_training)
    )


def _class_strata(classes: _Classes, texts: int) -> np.ndarray:
    """Returns (texts,) the class of each text, or its rarest; texts without a label have a stratum of their own.

    Stratifying by the rarest label keeps rare labels in proportion; frequent ones come close without help.
    """
    strata = np.full(texts, len(classes.in_training), _INDEX)
    rarest_last = np.lexsort((-classes.classes, -classes.in_training[classes.classes]))
    strata[classes.texts[rarest_last]] = classes.classes[rarest_last]
    return strata


def _target_strata(texts: _Texts, targets: np.ndarray, rows: int) -> np.ndarray:
    """Returns (texts,) the range of each text's mean target; each range has two texts or more, so it can spare one."""
    means = np.bincount(texts.of_row, targets) / texts.sizes
    return target_ranges(means, max(1, min(TARGET_RANGES, rows, len(means) // 2)))


def _draw(texts: _Texts, strata: np.ndarray, rows: int, seed: int, *, every_stratum: bool) -> np.ndarray:
    """Draws texts with about `rows` rows in total, in the proportions of the strata; returns a mask (texts,).

    Args:
        texts: The texts to draw from.
        strata: (texts,) stratum of each text.
        rows: Total number of rows of the drawn texts.
        seed: Seed of the draw. `RandomState`, unlike newer generators, guarantees its stream for all versions of numpy.
        every_stratum: Draw more rows if needed, so that every stratum that can spare a text gives one.
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
    # Group the shuffled texts by stratum.
    grouped = drawn[np.argsort(inverse[drawn], kind="stable")]
    chosen = np.zeros(len(texts.sizes), dtype=bool)
    shares = zip(quotas.tolist(), counts.tolist(), strict=True)
    for members, (quota, count) in zip(np.split(grouped, np.bincount(inverse).cumsum()[:-1]), shares, strict=True):
        # Limit the texts, too: otherwise, if a text of many copies stays in training, all others would be drawn.
        most_texts = -(-len(members) * quota // count)
        chosen[_fill(members, texts.sizes, quota)[:most_texts]] = True
    return chosen


def _fill(texts: np.ndarray, sizes: np.ndarray, quota: int) -> np.ndarray:
    """Returns the first texts with about `quota` rows in total; skips a text with too many copies."""
    filled = [texts[:0]]
    while quota > 0 and len(texts := texts[sizes[texts] <= 2 * quota]):
        fitting = max(1, int(np.searchsorted(sizes[texts].cumsum(), quota, side="right")))
        filled.append(texts[:fitting])
        quota -= int(sizes[texts[:fitting]].sum())
        texts = texts[fitting:]
    return np.concatenate(filled)


def _restore_training(classes: _Classes, chosen: np.ndarray, sizes: np.ndarray) -> None:
    """Moves a text of each class that training lacks back to training."""
    moved = classes.classes[chosen[classes.texts]]
    classes.in_held_out += np.bincount(moved, minlength=len(classes.in_held_out))
    classes.in_training -= classes.in_held_out
    for index in np.flatnonzero((classes.in_training == 0) & (classes.in_held_out > 0)).tolist():
        if classes.in_training[index] == 0:
            texts = classes.texts_of(index)
            _move(classes, chosen, int(texts[sizes[texts].argmax()]), into_held_out=False)


def _complete_held_out(classes: _Classes, chosen: np.ndarray, sizes: np.ndarray) -> None:
    """Moves a text of each class that the new split lacks, if training keeps another text of each of its classes."""
    missing = (classes.in_held_out == 0) & (classes.in_training > 1)
    for index in sorted(np.flatnonzero(missing).tolist(), key=lambda index: int(classes.in_training[index])):
        if classes.in_held_out[index]:
            continue
        spare = np.ones(len(chosen), dtype=bool)
        spare[classes.texts[classes.in_training[classes.classes] < 2]] = False
        texts = classes.texts_of(index)
        texts = texts[spare[texts] & ~chosen[texts]]
        if len(texts):
            # Prefer texts with many missing classes, so that fewer texts are moved.
            gains = np.bincount(classes.texts, classes.in_held_out[classes.classes] == 0, len(chosen))[texts]
            _move(classes, chosen, int(texts[np.lexsort((sizes[texts], -gains))[0]]), into_held_out=True)


def _move(classes: _Classes, chosen: np.ndarray, text: int, *, into_held_out: bool) -> None:
    chosen[text] = into_held_out
    indices = classes.classes[classes.texts == text]
    classes.in_held_out[indices] += 1 if into_held_out else -1
    classes.in_training[indices] += -1 if into_held_out else 1


def _explain_too_few(name: str, texts: _Texts, classes: _Classes | None) -> str:
    rows, different = len(texts.of_row), len(texts.sizes)
    if different == 1 and rows > 1:
        reason = f"all {rows} training rows have the same text"
    elif classes is not None and different > 1:
        reason = f"no class has two different texts in the {rows} training rows"
    else:
        reason = f"{rows} training rows are too few"
    return f"no {name} split can be taken from training, since {reason}: add rows or a {name} split"
