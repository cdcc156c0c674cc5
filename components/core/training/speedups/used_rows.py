"""Trains only the rows of the embedding table that the data uses.

The table has most of a small model's parameters, and a data set uses a part of its vocabulary. Otherwise gradients,
clipping, the optimizer and the exchange between processes would process the whole table at every step.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import datasets
import numpy as np
import pyarrow.compute as pc
import torch
from torch.nn import functional
from transformers import PreTrainedModel

# Above this share of the vocabulary, little time is saved.
_MAX_SHARE = 0.8


class UsedRows(torch.nn.Module):
    """An embedding with some rows of a table, looked up by their index in the table.

    Its only parameter is called `weight` like the table's, so the names in checkpoints do not change.

    Args:
        table: The whole embedding.
        used: Indices of the used rows, (rows,) int64, ascending.
    """

    row_indices: torch.Tensor

    def __init__(self, table: torch.nn.Embedding, used: torch.Tensor):
        super().__init__()
        self.weight = torch.nn.Parameter(table.weight.detach()[used])
        row_indices = torch.zeros(table.num_embeddings, dtype=torch.int32, device=table.weight.device)
        row_indices[used] = torch.arange(len(used), dtype=torch.int32, device=row_indices.device)
        self.register_buffer("row_indices", row_indices, persistent=False)
        is_padding = table.padding_idx is not None and bool((used == table.padding_idx).any())
        self._padding = int(row_indices[table.padding_idx]) if is_padding else None

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Token ids (batch, sequence) → rows (batch, sequence, hidden)."""
        return functional.embedding(self.row_indices[input_ids], self.weight, self._padding)


@contextmanager
def only_used_rows(
    model: torch.nn.Module, splits: Sequence[datasets.Dataset], special: Sequence[int]
) -> Iterator[None]:
    """Replaces the embedding by its used rows during training, and then restores the table with the trained rows.

    Args:
        model: Changed in place if it is a transformers model that trains its table and the data uses few rows of it.
        splits: All rows that the model will see, with a column `input_ids`; if empty, nothing is changed.
        special: Tokens that batches have but rows do not: the padding.
    """
    table = model.get_input_embeddings() if isinstance(model, PreTrainedModel) and splits else None
    if type(table) is not torch.nn.Embedding or not table.weight.requires_grad:
        yield
        return
    used = torch.from_numpy(_used(splits, special))
    if len(used) > _MAX_SHARE * table.num_embeddings:
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
    """Returns the distinct tokens of all rows in ascending order; reads one chunk of the files at a time."""
    tokens = [np.array(special, np.int64)]
    for split in splits:
        for chunk in split.data.column("input_ids").chunks:
            tokens.append(pc.unique(chunk.flatten()).to_numpy(zero_copy_only=False).astype(np.int64))
    return np.unique(np.concatenate(tokens))
