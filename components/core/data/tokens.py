"""Tokens of a split in memory-mapped files, which are made once and shared by the processes of a node."""

import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
from transformers import PreTrainedTokenizerBase

from compaware.components.core.base.distributed import barrier, local_rank, local_world_size, rank
from compaware.components.core.base.hashing import short_hash
from compaware.components.core.base.progress import Progress
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.soft_labels import SoftLabels, logits_array
from compaware.components.core.data.text import tokenize
from compaware.components.core.data.tokenizer import tokenizer_fingerprint


def tokenize_split(
    dataset: PreparedDataset,
    split: str,
    tokenizer: PreTrainedTokenizerBase,
    max_length_tokens: int,
    folder: Path,
    soft_labels: SoftLabels | None = None,
) -> datasets.Dataset:
    """Tokenizes a split into memory-mapped files, so that it need not fit in memory.

    Each process of a node writes a share and reads all files; files of a killed run are used again. Rows have no
    attention mask, since padding creates it.

    Args:
        dataset: The data.
        split: The split.
        tokenizer: The model's tokenizer.
        max_length_tokens: Longer inputs are cut (the longer of a pair first).
        folder: Folder for the files; nodes may share it.
        soft_labels: The teacher's logits for the split.

    Returns:
        `input_ids`, `length`, `cut`, `labels`, for some tokenizers `token_type_ids`, and `teacher_logits` where given.
    """
    groups, shares = dataset.group_count(split), local_world_size()
    key = short_hash(
        json.dumps(
            [dataset.manifest.fingerprint, _fingerprint(tokenizer), max_length_tokens]
            + ([soft_labels.key.model_dump()] if soft_labels else [])
        )
    )
    ranges = [range(groups * share // shares, groups * (share + 1) // shares) for share in range(shares)]
    files = [folder / f"{split}-{key}-{share}-of-{shares}.arrow" for share in range(shares)]
    own_file, numbers = files[local_rank()], ranges[local_rank()]
    if numbers and not own_file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        # Nodes that share the folder write the same file, so each uses its own temporary name.
        staged = folder / f".{own_file.name}.{rank()}"
        _write(staged, _rows(dataset, split, numbers, tokenizer, max_length_tokens, soft_labels))
        os.replace(staged, own_file)
    barrier()
    written = [file for file, numbers in zip(files, ranges, strict=True) if numbers]
    return datasets.concatenate_datasets([datasets.Dataset.from_file(str(file)) for file in written])


def token_lengths(rows: datasets.Dataset) -> np.ndarray:
    """Returns the number of tokens of each row of a tokenized split, (rows,) int32."""
    return rows.data.column("length").to_numpy()


def _write(file: Path, tables: Iterator[pa.Table]) -> None:
    first = next(tables)
    with pa.ipc.new_stream(str(file), first.schema) as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table)


def _rows(
    dataset: PreparedDataset,
    split: str,
    numbers: range,
    tokenizer: PreTrainedTokenizerBase,
    max_length_tokens: int,
    soft_labels: SoftLabels | None,
) -> Iterator[pa.Table]:
    """Yields the tokenized rows of some row groups, one group at a time."""
    logits = soft_labels.groups(numbers) if soft_labels else None
    progress = Progress("group", len(numbers))
    for done, table in enumerate(dataset.groups(split, numbers), start=1):
        columns = tokenize(table, tokenizer, max_length_tokens)
        arrays: dict[str, pa.Array] = {
            name: _lists(name, columns[name]) for name in ("input_ids", "token_type_ids") if name in columns
        }
        arrays["cut"] = pa.array(columns["cut"])
        arrays["length"] = pa.array([len(ids) for ids in columns["input_ids"]], pa.int32())
        arrays["labels"] = table.column("label").combine_chunks()
        if logits:
            arrays["teacher_logits"] = logits_array(next(logits))
        yield pa.table(arrays)
        progress.update(done, f"tokenizing {split}", samples_per_count=table.num_rows * local_world_size())


def _lists(name: str, values: list[list[int]]) -> pa.Array:
    return pa.array(values, pa.list_(pa.int8() if name == "token_type_ids" else pa.int32()))


def _fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return tokenizer_fingerprint(Path(folder))
