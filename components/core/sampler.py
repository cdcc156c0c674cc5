"""The order in which sentences are trained on: batches of similar length, in random order."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

# Sentences are sorted within pools of at most so many batches: enough for little padding, few enough to stay random.
_POOL_BATCHES = 50
# And there are at least so many pools, or the same rows would meet in every epoch of a small data set.
_POOLS = 4


class LengthBucketSampler(Sampler[int]):
    """Draws batches of similar length, the batches in random order.

    transformers' own `group_by_length` goes from long batches to short ones again and again, and models trained so
    were less accurate than with random batches; shuffling the batches keeps the saving without that. The order of an
    epoch depends on seed and epoch alone, so that a resumed training sees what the whole one would have seen.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int):
        """Plans the batches.

        Args:
            lengths: Tokens of each row.
            batch_size: Rows of one step, over all processes.
            seed: Of the order.
        """
        self._lengths = np.asarray(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch whose order comes next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self._seed, self._epoch))
        order = rng.permutation(len(self._lengths))
        batch_count = len(order) // self._batch_size
        whole = batch_count * self._batch_size
        pool = self._batch_size * max(1, min(_POOL_BATCHES, batch_count // _POOLS))
        pools = np.split(order[:whole], range(pool, whole, pool))
        ordered = np.concatenate([rows[np.argsort(self._lengths[rows], kind="stable")] for rows in pools])
        batches = rng.permutation(ordered.reshape(-1, self._batch_size))
        # A batch that is not full comes last, so that it does not shift the others' borders.
        yield from [*batches.ravel().tolist(), *order[whole:].tolist()]
