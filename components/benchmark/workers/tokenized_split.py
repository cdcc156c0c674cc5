"""A tokenized split in one file, from which each worker builds the same batches without a tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


class TokenizedSplit:
    """Rows of token ids (and mask, segment ids), each of its own length.

    Args:
        columns: By name of the input, the concatenated values of all rows, int64.
        lengths: (rows,) number of tokens in each row.
        cut_rows: Number of rows that were truncated.
        pad_token_id: Padding of `input_ids`; other inputs are padded with 0.
    """

    def __init__(self, columns: dict[str, np.ndarray], lengths: np.ndarray, cut_rows: int, pad_token_id: int):
        self.lengths = lengths
        self.cut_rows = cut_rows
        self._columns = columns
        self._pad_token_id = pad_token_id
        self._ends = np.cumsum(lengths)

    @classmethod
    def from_rows(cls, rows: dict[str, Sequence[Sequence[int]]], cut_rows: int, pad_token_id: int) -> "TokenizedSplit":
        """Concatenates the rows that a tokenizer returned."""
        lengths = np.array([len(row) for row in rows["input_ids"]])
        columns = {name: np.concatenate([np.asarray(row, np.int64) for row in values]) for name, values in rows.items()}
        return cls(columns, lengths, cut_rows, pad_token_id)

    @classmethod
    def load(cls, file: Path) -> "TokenizedSplit":
        """Loads a file that `save` wrote."""
        with np.load(file) as arrays:
            names = [name for name in arrays.files if name.startswith("column_")]
            columns = {name.removeprefix("column_"): arrays[name] for name in names}
            return cls(columns, arrays["lengths"], int(arrays["cut_rows"]), int(arrays["pad_token_id"]))

    def save(self, file: Path) -> None:
        """Saves the split as an npz file."""
        columns: dict[str, Any] = {f"column_{name}": values for name, values in self._columns.items()}
        columns |= {"cut_rows": np.int64(self.cut_rows), "pad_token_id": np.int64(self._pad_token_id)}
        np.savez(file, lengths=self.lengths, **columns)

    def batch(self, rows: Sequence[int], names: Sequence[str], width: int | None) -> dict[str, np.ndarray]:
        """Returns a padded batch.

        Args:
            rows: Row numbers.
            names: Inputs that the model takes; one that the tokenizer does not produce is filled with zeros.
            width: Tokens to pad to, at least those of the longest row; None pads to the longest row.

        Returns:
            Each input as int64 (rows, width).
        """
        width = width or int(self.lengths[list(rows)].max())
        padded = {}
        for name in names:
            padded[name] = np.full((len(rows), width), self._pad_token_id if name == "input_ids" else 0, np.int64)
            if name in self._columns:
                for index, row in enumerate(rows):
                    end = self._ends[row]
                    padded[name][index, : self.lengths[row]] = self._columns[name][end - self.lengths[row] : end]
        return padded
