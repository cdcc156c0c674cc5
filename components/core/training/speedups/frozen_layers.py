"""Asks the frozen first layers of a student once for each sentence, and reads their answer at every later step.

In evaluation mode they say the same of a sentence in every epoch: their part of a step, and of an evaluation, becomes a
read of some ten kilobytes a sentence.
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

# On disk; 1.5 KB a token where the hidden size is 384. Above this the layers are asked at every step.
_MOST_BYTES = 2 * 2**30
_STATE_BYTES = 4  # float32
_BATCH_ROWS = 64
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class FrozenStates:
    """The last frozen layer's output for every token, in a file that the processes of a node write and read together.

    Attributes:
        splits: The rows, each with its `number`.

    Args:
        model: Its first layers are frozen (see `models.freeze_layers`), and it is on the CPU.
        count: How many layers.
        splits: All rows that will be asked for, with columns `input_ids` and `length`.
        file: Where the outputs go; open for reading and writing.
    """

    def __init__(self, model: PreTrainedModel, count: int, splits: Sequence[datasets.Dataset], file: BinaryIO):
        self._model = model
        self._layers = list(model.get_submodule(encoder_layers(model)[0]).children())[:count]
        # What a layer's output has besides the hidden states; None where it is these alone.
        self._besides: tuple[Any, ...] | None = None
        self._width = model.config.hidden_size
        tokens = np.cumsum(np.concatenate([[0], *map(token_lengths, splits)]), dtype=np.int64)
        # The byte at which each row begins, and the end of the last one.
        self._places = tokens * self._width * _STATE_BYTES
        firsts = np.cumsum([0, *map(len, splits)]).tolist()
        self.splits = [
            split.add_column("number", np.arange(first, first + len(split)))
            for split, first in zip(splits, firsts, strict=False)
        ]
        self._file = file
        self._shown = torch.empty(0)

    def write(self, collator: Collator) -> None:
        """Asks the layers for this process's share of the rows, those of similar length together."""
        progress, done = Progress("row", int(sum(map(len, self.splits)))), 0
        for split in self.splits:
            order = np.argsort(token_lengths(split), kind="stable")
            batches = [order[start : start + _BATCH_ROWS] for start in range(0, len(order), _BATCH_ROWS)]
            for rows in batches[local_rank() :: local_world_size()]:
                batch = collator(split.__getitems__(rows.tolist()))
                states, mask = self._ask(batch), batch["attention_mask"].bool()
                for number, state, present in zip(batch["number"].tolist(), states, mask, strict=True):
                    os.pwrite(self._file.fileno(), state[present].contiguous().numpy(), int(self._places[number]))
                done += len(rows) * local_world_size()
                progress.update(done, "frozen layers")
        barrier()

    def show(self, numbers: torch.Tensor, mask: torch.Tensor) -> None:
        """Reads the outputs for a batch, which the layers then answer.

        Args:
            numbers: The column `number` of its rows, (batch,).
            mask: 1 for each of their tokens, (batch, sequence).
        """
        places = zip(self._places[numbers].tolist(), self._places[numbers + 1].tolist(), strict=True)
        read = bytearray().join(os.pread(self._file.fileno(), end - start, start) for start, end in places)
        self._shown = torch.zeros(*mask.shape, self._width)
        self._shown[mask.bool()] = torch.frombuffer(read, dtype=torch.float32).view(-1, self._width)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Meanwhile, the layers compute nothing and answer what was shown."""
        for layer in self._layers:
            layer.forward = lambda *_, **__: self._answer()
        try:
            yield
        finally:
            for layer in self._layers:
                del layer.forward

    @torch.inference_mode()
    def answers_alike(self, collator: Collator) -> bool:
        """Whether the model says the same with what was written: not so where padding changes what a token becomes."""
        batch = collator(self.splits[-1].__getitems__(list(range(min(8, len(self.splits[-1]))))))
        self._ask(batch)  # A process that had no share of the rows learns here what an output looks like.
        wanted = self._run(batch).logits
        self.show(batch["number"], batch["attention_mask"])
        with self.answering():
            found = self._run(batch).logits
        return torch.allclose(found, wanted, rtol=1e-4, atol=1e-5)

    @torch.inference_mode()
    def _ask(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Their output for a batch, (batch, sequence, hidden); the layers after them are not reached."""
        hook = self._layers[-1].register_forward_hook(self._note)
        try:
            self._run(batch)
        except _Said as said:
            return said.states
        finally:
            hook.remove()
        raise AssertionError("the model did not reach its frozen layers")

    def _note(self, layer: torch.nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, tuple):
            self._besides = output[1:]
        raise _Said(output[0] if isinstance(output, tuple) else output)

    def _answer(self) -> Any:
        return self._shown if self._besides is None else (self._shown, *self._besides)

    def _run(self, batch: dict[str, torch.Tensor]) -> Any:
        return self._model(**{name: batch[name] for name in _INPUTS if name in batch})


class _Said(Exception):  # noqa: N818
    """Ends a forward pass where the frozen layers do."""

    def __init__(self, states: torch.Tensor):
        super().__init__()
        self.states = states


@contextmanager
def frozen_states(
    model: PreTrainedModel, count: int, splits: Sequence[datasets.Dataset], collator: Collator, folder: Path
) -> Iterator[FrozenStates | None]:
    """Writes what the frozen layers say, and has them answer it meanwhile.

    Args:
        model: See `FrozenStates`, as for `count` and `splits`.
        collator: Makes batches of the splits' rows.
        folder: The file's; it is removed at the end.

    Yields:
        None where it would take too much of the disk, or where the model does not answer alike.
    """
    size = sum(int(token_lengths(split).sum()) for split in splits) * model.config.hidden_size * _STATE_BYTES
    if not broadcast(size <= min(_MOST_BYTES, shutil.disk_usage(folder).free // 4)):
        log.info("the frozen layers are asked at every step: their answers would take %.0f MB of disk", size / 1e6)
        yield None
        return
    file = folder / f"frozen-states-{node_rank()}"  # Nodes may have one folder.
    file.touch()
    training = model.training
    model.eval()
    try:
        with file.open("r+b") as opened:  # Not truncated: another process of the node may have begun.
            states = FrozenStates(model, count, splits, opened)
            states.write(collator)
            used = states.answers_alike(collator)
            model.train(training)
            how = "are asked once a row" if used else "are asked at every step, since padding changes their answers"
            log.info("the frozen layers %s (%.0f MB of disk)", how, size / 1e6)
            with states.answering() if used else nullcontext():
                yield states if used else None
    finally:
        file.unlink(missing_ok=True)
