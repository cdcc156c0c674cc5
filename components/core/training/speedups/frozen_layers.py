"""Caches the outputs of the frozen first layers of a student.

In evaluation mode their output for a sentence is the same in every epoch: reading some ten kilobytes for each sentence
replaces their part of a training or evaluation step.
"""

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import datasets
import numpy as np
import torch
from transformers import PreTrainedModel

from compaware.components.core.base.distributed import barrier, broadcast, local_rank, local_world_size, node_rank
from compaware.components.core.base.progress import Progress
from compaware.components.core.data.text import Collator
from compaware.components.core.data.tokens import token_lengths
from compaware.components.core.models.layers import encoder_layers

log = logging.getLogger(__name__)

# Largest cache on disk (1.5 KB a token for a hidden size of 384). Above this, the layers run at every step.
_MAX_BYTES = 2 * 2**30
_STATE_BYTES = 4  # float32
_BATCH_ROWS = 64
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class FrozenStates:
    """The last frozen layer's output for every token, in a file that the processes of a node share.

    Attributes:
        splits: The rows with an added column `number`.

    Args:
        model: A model on the CPU whose first layers are frozen (see `models.layers.freeze_layers`).
        count: Number of frozen layers.
        splits: All rows to cache, with columns `input_ids` and `length`.
        file: The cache; open for reading and writing.
    """

    def __init__(self, model: PreTrainedModel, count: int, splits: Sequence[datasets.Dataset], file: BinaryIO):
        self._model = model
        self._layers = list(model.get_submodule(encoder_layers(model)[0]).children())[:count]
        # Further outputs of a layer after the hidden states; None if the output is not a tuple.
        self._further_outputs: tuple[Any, ...] | None = None
        self._width = model.config.hidden_size
        tokens = np.cumsum(np.concatenate([[0], *map(token_lengths, splits)]), dtype=np.int64)
        # Offset in bytes of each row, and of the end of the file.
        self._offsets = tokens * self._width * _STATE_BYTES
        firsts = np.cumsum([0, *map(len, splits)]).tolist()
        self.splits = [
            split.add_column("number", np.arange(first, first + len(split)))
            for split, first in zip(splits, firsts, strict=False)
        ]
        self._file = file
        self._replayed = torch.empty(0)

    def write(self, collator: Collator) -> None:
        """Computes and writes this process's share of the rows, in batches of similar length."""
        progress, done = Progress("row", int(sum(map(len, self.splits)))), 0
        for split in self.splits:
            order = np.argsort(token_lengths(split), kind="stable")
            batches = [order[start : start + _BATCH_ROWS] for start in range(0, len(order), _BATCH_ROWS)]
            for rows in batches[local_rank() :: local_world_size()]:
                batch = collator(split.__getitems__(rows.tolist()))
                states, mask = self._compute(batch), batch["attention_mask"].bool()
                for number, state, present in zip(batch["number"].tolist(), states, mask, strict=True):
                    os.pwrite(self._file.fileno(), state[present].contiguous().numpy(), int(self._offsets[number]))
                done += len(rows) * local_world_size()
                progress.update(done, "frozen layers")
        barrier()

    def load(self, numbers: torch.Tensor, mask: torch.Tensor) -> None:
        """Reads the cached outputs for a batch, which `replay` makes the layers return.

        Args:
            numbers: The column `number` of the rows, (batch,).
            mask: 1 for each of their tokens, (batch, sequence).
        """
        ranges = zip(self._offsets[numbers].tolist(), self._offsets[numbers + 1].tolist(), strict=True)
        data = bytearray().join(os.pread(self._file.fileno(), end - start, start) for start, end in ranges)
        self._replayed = torch.zeros(*mask.shape, self._width)
        self._replayed[mask.bool()] = torch.frombuffer(data, dtype=torch.float32).view(-1, self._width)

    @contextmanager
    def replay(self) -> Iterator[None]:
        """Makes the layers return the loaded outputs instead of computing them, inside the `with` block."""
        for layer in self._layers:
            layer.forward = lambda *_, **__: self._output()
        try:
            yield
        finally:
            for layer in self._layers:
                del layer.forward

    @torch.inference_mode()
    def is_exact(self, collator: Collator) -> bool:
        """Returns whether the logits are the same with the cache; they differ if padding changes hidden states."""
        batch = collator(self.splits[-1].__getitems__(list(range(min(8, len(self.splits[-1]))))))
        self._compute(batch)  # Sets `_further_outputs` in a process that had no share of the rows.
        expected = self._run(batch).logits
        self.load(batch["number"], batch["attention_mask"])
        with self.replay():
            replayed = self._run(batch).logits
        return torch.allclose(replayed, expected, rtol=1e-4, atol=1e-5)

    @torch.inference_mode()
    def _compute(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Returns the frozen layers' output for a batch, (batch, sequence, hidden); does not run the other layers."""
        hook = self._layers[-1].register_forward_hook(self._stop)
        try:
            self._run(batch)
        except _Stopped as stopped:
            return stopped.states
        finally:
            hook.remove()
        raise AssertionError("the model did not reach its frozen layers")

    def _stop(self, layer: torch.nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, tuple):
            self._further_outputs = output[1:]
        raise _Stopped(output[0] if isinstance(output, tuple) else output)

    def _output(self) -> Any:
        return self._replayed if self._further_outputs is None else (self._replayed, *self._further_outputs)

    def _run(self, batch: dict[str, torch.Tensor]) -> Any:
        return self._model(**{name: batch[name] for name in _INPUTS if name in batch})


class _Stopped(Exception):  # noqa: N818
    """Ends a forward pass after the frozen layers."""

    def __init__(self, states: torch.Tensor):
        super().__init__()
        self.states = states


@contextmanager
def frozen_states(
    model: PreTrainedModel, count: int, splits: Sequence[datasets.Dataset], collator: Collator, folder: Path
) -> Iterator[FrozenStates | None]:
    """Caches the outputs of the frozen layers and replays them inside the `with` block.

    Args:
        model: See `FrozenStates`.
        count: See `FrozenStates`.
        splits: See `FrozenStates`.
        collator: Makes batches of the splits' rows.
        folder: Folder of the cache file, which is removed at the end.

    Yields:
        The cache; None if it would take too much disk space, or would change the logits.
    """
    size = sum(int(token_lengths(split).sum()) for split in splits) * model.config.hidden_size * _STATE_BYTES
    if not broadcast(size <= min(_MAX_BYTES, shutil.disk_usage(folder).free // 4)):
        log.info("the frozen layers run at every step: caching their outputs would take %.0f MB of disk", size / 1e6)
        yield None
        return
    file = folder / f"frozen-states-{node_rank()}"  # Nodes may share the folder.
    file.touch()
    training = model.training
    model.eval()
    try:
        with file.open("r+b") as opened:  # Not truncated: another process of the node may have written already.
            states = FrozenStates(model, count, splits, opened)
            states.write(collator)
            is_exact = states.is_exact(collator)
            model.train(training)
            if is_exact:
                log.info("the outputs of the frozen layers are cached (%.0f MB of disk)", size / 1e6)
            else:
                log.info("the frozen layers run at every step, since padding changes their outputs")
            with states.replay() if is_exact else nullcontext():
                yield states if is_exact else None
    finally:
        file.unlink(missing_ok=True)
