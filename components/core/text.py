"""Text to model inputs: tokenized once, padded only to the longest of a batch."""

from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch
from transformers import PreTrainedTokenizerBase

_TOKENIZER_BATCH = 1000


def tokenize(table: pa.Table, tokenizer: PreTrainedTokenizerBase, max_length_tokens: int) -> datasets.Dataset:
    """Tokenizes a split of a Dataset artifact, without padding.

    Args:
        table: Columns `text`, optional `text_pair`, `label`.
        tokenizer: The model's tokenizer.
        max_length_tokens: Longer inputs are cut (the longer of a pair first).

    Returns:
        Columns of the tokenizer (`input_ids`, `attention_mask`, for some `token_type_ids`), `labels` and `length`.
    """
    columns: dict[str, list[Any]] = {}
    for batch in table.select([name for name in ("text", "text_pair") if name in table.column_names]).to_batches(
        max_chunksize=_TOKENIZER_BATCH
    ):
        texts = [column.to_pylist() for column in batch.columns]
        encoded = tokenizer(*texts, truncation=True, max_length=max_length_tokens)
        for name, values in encoded.items():
            columns.setdefault(name, []).extend(values)
    columns["length"] = [len(ids) for ids in columns["input_ids"]]
    arrays: dict[str, pa.Array] = {name: pa.array(values) for name, values in columns.items()}
    arrays["labels"] = table.column("label").combine_chunks()
    return datasets.Dataset(pa.table(arrays))


class Collator:
    """Makes a batch of tensors, padded to its longest row.

    `labels` become int64 (classes) or float32 (regression), shape (batch,); `teacher_logits`, where the rows have
    them, float32 of shape (batch, labels).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self._tokenizer = tokenizer

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        names = [name for name in self._tokenizer.model_input_names if name in rows[0]]
        batch = dict(
            self._tokenizer.pad([{name: row[name] for name in names} for row in rows], return_tensors="pt").items()
        )
        if "labels" in rows[0]:
            labels = torch.tensor([row["labels"] for row in rows])
            batch["labels"] = labels.float() if labels.is_floating_point() else labels
        if "teacher_logits" in rows[0]:
            batch["teacher_logits"] = torch.from_numpy(np.asarray([row["teacher_logits"] for row in rows], np.float32))
        return batch
