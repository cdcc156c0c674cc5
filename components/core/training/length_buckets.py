"""The order in which sentences are trained on: batches of similar length, in random order."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

# Sentences are sorted within pools of at most so many batches: enough for little padding, few enough to stay random.
_POOL_BATCHES = 100
# And there are at least so many pools, or the same rows would meet in every epoch of a small data set.
_POOLS = 2


class LengthBucketSampler(Sampler[int]):
    """Draws batches of similar length, the batches in random order.

    transformers' own `group_by_length` goes from long batches to short ones again and again, and models trained so
    were less accurate than with random batches; shuffling the batches keeps the saving without that. The order of an
    epoch depends on seed and epoch alone, so that a resumed training sees what the whole one would have seen.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int):
        """Plans the batches.

        Args:
            lengths: Tokens of each row, (rows,).
            batch_size: Rows of one step, over all processes.
            seed: Of the order.
        """
        self._lengths = lengths
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
        # The one thing that grows with the data: 4 bytes a row, 400 MB for a hundred million.
        order = rng.permutation(np.arange(len(self._lengths), dtype=np.int32))
        batch_count = len(order) // self._batch_size
        whole = batch_count * self._batch_size
        pool = self._batch_size * max(1, min(_POOL_BATCHES, batch_count // _POOLS))
        for start in range(0, whole, pool):
            rows = order[start : min(start + pool, whole)]
            rows[:] = rows[np.argsort(self._lengths[rows], kind="stable")]
        batches = order[:whole].reshape(-1, self._batch_size)
        for batch in rng.permutation(batch_count):
            yield from batches[batch].tolist()
        # A batch that is not full comes last, so that it does not shift the others' borders.
        yield from order[whole:].tolist()
