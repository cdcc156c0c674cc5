"""Tokenizes text, and pads batches to their longest row."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from transformers import BatchEncoding, PreTrainedTokenizerBase

_TOKENIZER_BATCH = 1000
# Only rare tokens have more characters.
_CHARACTERS_OF_A_TOKEN = 50


def tokenize(table: pa.Table, tokenizer: PreTrainedTokenizerBase, max_length_tokens: int) -> dict[str, list[Any]]:
    """Tokenizes rows that fit in memory, without padding.

    Args:
        table: Columns `text` and optionally `text_pair`; others are ignored.
        tokenizer: The model's tokenizer.
        max_length_tokens: Longer inputs are cut (the longer of a pair first), as are those that are longer than the
            tokenizer's `model_max_length`.

    Returns:
        The tokenizer's columns (`input_ids`, `attention_mask`, for some `token_type_ids`), one list a row, and `cut`:
        whether the row was truncated. A row without tokens (an empty text, if the tokenizer adds no special tokens)
        gets one token.
    """
    length = min(max_length_tokens, tokenizer.model_max_length)
    columns: dict[str, list[Any]] = {}
    for batch in table.select([name for name in ("text", "text_pair") if name in table.column_names]).to_batches(
        max_chunksize=_TOKENIZER_BATCH
    ):
        with _kept_settings(tokenizer):
            texts = [_pre_truncate(column.to_pylist(), tokenizer, length) for column in batch.columns]
            encoded = tokenizer(*texts, truncation=True, max_length=length)
        _fill_empty_rows(encoded, tokenizer)
        # Only fast tokenizers report truncation.
        cut = [bool(row.overflowing) for row in encoded.encodings or ()]
        cut = cut or [len(ids) == length for ids in encoded["input_ids"]]
        for name, values in [*encoded.items(), ("cut", cut)]:
            columns.setdefault(name, []).extend(values)
    return columns


@contextmanager
def _kept_settings(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Restores the truncation and padding of a fast tokenizer: a call changes them, and they are saved with it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        yield
        return
    truncation, padding = backend.truncation, backend.padding
    try:
        yield
    finally:
        backend.enable_truncation(**truncation) if truncation else backend.no_truncation()
        backend.enable_padding(**padding) if padding else backend.no_padding()


def _pre_truncate(texts: list[str], tokenizer: PreTrainedTokenizerBase, length: int) -> list[str]:
    """Cuts very long texts to the side that is kept, if that side alone has enough tokens.

    Fast tokenizers encode all parts that they cut off, and for a pair of texts all pairs of parts: minutes for a pair
    of books. (If an odd number of tokens of a pair is kept, the odd token may come from the other text.)
    """
    characters = _CHARACTERS_OF_A_TOKEN * length
    for row, text in enumerate(texts):
        if len(text) > characters:
            side = text[:characters] if tokenizer.truncation_side == "right" else text[-characters:]
            if len(tokenizer(side, add_special_tokens=False, verbose=False)["input_ids"]) >= 2 * length:
                texts[row] = side
    return texts


def _fill_empty_rows(encoded: BatchEncoding, tokenizer: PreTrainedTokenizerBase) -> None:
    """Gives rows without tokens a special token: one that begins or ends a text, else the unknown or padding token."""
    names = ("bos_token_id", "cls_token_id", "eos_token_id", "sep_token_id", "unk_token_id", "pad_token_id")
    filler = next((token for name in names if (token := getattr(tokenizer, name)) is not None), 0)
    for row, ids in enumerate(encoded["input_ids"]):
        if not ids:
            for name, value in {"input_ids": filler, "attention_mask": 1, "token_type_ids": 0}.items():
                if name in encoded:
                    encoded[name][row] = [value]


def table_batches(
    table: pa.Table,
    tokenizer: PreTrainedTokenizerBase,
    input_names: Sequence[str],
    max_length_tokens: int,
    batch_size: int,
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Tokenizes rows that fit in memory and yields them in batches, like `sorted_batches`.

    Args:
        table: Columns `text` and optionally `text_pair`.
        tokenizer: The model's tokenizer.
        input_names: The model's inputs; segment ids are 0 if the tokenizer makes none.
        max_length_tokens: Longer inputs are cut.
        batch_size: Rows in a batch.
    """
    columns = tokenize(table, tokenizer, max_length_tokens)
    columns.setdefault("token_type_ids", [[0] * len(ids) for ids in columns["input_ids"]])
    rows = {name: columns[name] for name in input_names}
    yield from sorted_batches(rows, batch_size, tokenizer.pad_token_id or 0)


def sorted_batches(
    columns: dict[str, list[list[int]]], batch_size: int, pad_token_id: int
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Yields padded batches of rows of similar length, the longest first.

    Args:
        columns: For each input one list of integers a row; `input_ids` is padded with `pad_token_id`, the rest with 0.
        batch_size: Rows in a batch.
        pad_token_id: Padding token of the tokenizer.

    Yields:
        The row numbers (batch,), and the inputs, each int64 (batch, longest row of the batch).
    """
    lengths = np.array([len(row) for row in columns["input_ids"]])
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        batch = {}
        for name, rows in columns.items():
            padding = pad_token_id if name == "input_ids" else 0
            padded = np.full((len(indices), lengths[indices].max()), padding, np.int64)
            for position, index in enumerate(indices):
                padded[position, : lengths[index]] = rows[index]
            batch[name] = padded
        yield indices, batch


class Collator:
    """Makes a batch of tensors, padded to its longest row.

    `labels` become int64 (classes) or float32 (regression), shape (batch,), or for multi-label data int64 of shape
    (batch, labels). If the rows have `teacher_logits`, they become float32 of shape (batch, labels), and `number`
    int64 of shape (batch,).
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
        if "number" in rows[0]:
            batch["number"] = torch.tensor([row["number"] for row in rows])
        if "teacher_logits" in rows[0]:
            batch["teacher_logits"] = torch.from_numpy(np.asarray([row["teacher_logits"] for row in rows], np.float32))
        return batch
