"""Trains only those rows of the embedding table that the data looks up.

The table is most of a small model's parameters, and a data set uses a part of its vocabulary. Gradient, clipping and
optimizer would go through all of it at every step, and so would the exchange of gradients between processes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import datasets
import numpy as np
import pyarrow.compute as pc
import torch
from torch.nn import functional
from transformers import PreTrainedModel

# Above this share of the vocabulary there is little to win.
_MOST = 0.8


class UsedRows(torch.nn.Module):
    """An embedding of some rows of a table, looked up by the numbers that they have there.

    Its one parameter has the name that the table's had, so that checkpoints look alike.

    Args:
        table: The whole embedding.
        used: Its rows that are looked up, (rows,) int64, ascending.
    """

    places: torch.Tensor

    def __init__(self, table: torch.nn.Embedding, used: torch.Tensor):
        super().__init__()
        self.weight = torch.nn.Parameter(table.weight.detach()[used])
        places = torch.zeros(table.num_embeddings, dtype=torch.int32, device=table.weight.device)
        places[used] = torch.arange(len(used), dtype=torch.int32, device=places.device)
        self.register_buffer("places", places, persistent=False)
        is_padding = table.padding_idx is not None and bool((used == table.padding_idx).any())
        self._padding = int(places[table.padding_idx]) if is_padding else None

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Token ids (batch, sequence) → rows (batch, sequence, hidden)."""
        return functional.embedding(self.places[input_ids], self.weight, self._padding)


@contextmanager
def only_used_rows(
    model: torch.nn.Module, splits: Sequence[datasets.Dataset], special: Sequence[int]
) -> Iterator[None]:
    """Makes the model's embedding small while it is trained; afterwards the whole table is back, with the new rows.

    Args:
        model: Changed in place, where it is a transformers model that trains its table and the data uses little of it.
        splits: All that the model will be asked, with a column `input_ids`; none to leave the model alone.
        special: Tokens that no row has and batches do: the padding.
    """
    table = model.get_input_embeddings() if isinstance(model, PreTrainedModel) and splits else None
    if type(table) is not torch.nn.Embedding or not table.weight.requires_grad:
        yield
        return
    used = torch.from_numpy(_used(splits, special))
    if len(used) > _MOST * table.num_embeddings:
        yield
        return
    assert isinstance(model, PreTrainedModel)
    small = UsedRows(table, used)
    model.set_input_embeddings(small)
    try:
        yield
    finally:
        with torch.no_grad():
            table.to(small.weight.device).weight[used] = small.weight
        model.set_input_embeddings(table)


def _used(splits: Sequence[datasets.Dataset], special: Sequence[int]) -> np.ndarray:
    """The tokens of all rows, each once, in order; a chunk of the files at a time."""
    found = [np.array(special, np.int64)]
    for split in splits:
        for chunk in split.data.column("input_ids").chunks:
            found.append(pc.unique(chunk.flatten()).to_numpy(zero_copy_only=False).astype(np.int64))
    return np.unique(np.concatenate(found))
