"""A sampler that draws batches of rows of similar length in random order."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

# Largest number of batches in a pool, within which rows are sorted by length: more batches mean less padding, but also
# less randomness.
_MAX_POOL_BATCHES = 100
# Smallest number of pools: with one pool, the same rows would share a batch in every epoch.
_MIN_POOLS = 2


class LengthBucketSampler(Sampler[int]):
    """Draws batches of similar length, the batches in random order.

    transformers' own `group_by_length` repeatedly goes from long batches to short ones, which made models less accurate
    than random batches did; shuffling the batches avoids this and saves as much padding. The order of an epoch depends
    only on the seed and the epoch, so a resumed training sees the same batches.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int):
        """Sets lengths, batch size and seed.

        Args:
            lengths: Tokens of each row, (rows,).
            batch_size: Rows of one step, over all processes.
            seed: Seed of the order.
        """
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next order."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self._seed, self._epoch))
        # 4 bytes a row: 400 MB for a hundred million rows.
        order = rng.permutation(np.arange(len(self._lengths), dtype=np.int32))
        batch_count = len(order) // self._batch_size
        whole = batch_count * self._batch_size
        pool = self._batch_size * max(1, min(_MAX_POOL_BATCHES, batch_count // _MIN_POOLS))
        for start in range(0, whole, pool):
            rows = order[start : min(start + pool, whole)]
            rows[:] = rows[np.argsort(self._lengths[rows], kind="stable")]
        batches = order[:whole].reshape(-1, self._batch_size)
        for batch in rng.permutation(batch_count):
            yield from batches[batch].tolist()
        # The incomplete batch comes last, so that it does not shift the others.
        yield from order[whole:].tolist()
