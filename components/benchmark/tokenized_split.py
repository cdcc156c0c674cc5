"""A tokenized split in one file, from which every worker cuts the same batches without any tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


class TokenizedSplit:
    """Rows of token ids (and mask, segment ids), each of its own length.

    Args:
        columns: Input name to all rows' values one after another, int64.
        lengths: (rows,) tokens in each row.
        cut_rows: How many rows were longer, and were cut.
        pad_token_id: Fills `input_ids`; the others are filled with 0.
    """

    def __init__(self, columns: dict[str, np.ndarray], lengths: np.ndarray, cut_rows: int, pad_token_id: int):
        self.lengths = lengths
        self.cut_rows = cut_rows
        self._columns = columns
        self._pad_token_id = pad_token_id
        self._ends = np.cumsum(lengths)

    @classmethod
    def from_rows(cls, rows: dict[str, Sequence[Sequence[int]]], cut_rows: int, pad_token_id: int) -> "TokenizedSplit":
        """Packs what a tokenizer returned."""
        lengths = np.array([len(row) for row in rows["input_ids"]])
        columns = {name: np.concatenate([np.asarray(row, np.int64) for row in values]) for name, values in rows.items()}
        return cls(columns, lengths, cut_rows, pad_token_id)

    @classmethod
    def load(cls, file: Path) -> "TokenizedSplit":
        """Reads what `save` wrote."""
        with np.load(file) as found:
            columns = {name.removeprefix("column_"): found[name] for name in found.files if name.startswith("column_")}
            return cls(columns, found["lengths"], int(found["cut_rows"]), int(found["pad_token_id"]))

    def save(self, file: Path) -> None:
        """Writes everything to an npz file."""
        columns: dict[str, Any] = {f"column_{name}": values for name, values in self._columns.items()}
        columns |= {"cut_rows": np.int64(self.cut_rows), "pad_token_id": np.int64(self._pad_token_id)}
        np.savez(file, lengths=self.lengths, **columns)

    def batch(self, rows: Sequence[int], names: Sequence[str], width: int | None) -> dict[str, np.ndarray]:
        """Pads some rows to `width` tokens, or to the longest of them.

        Args:
            rows: Row numbers.
            names: Inputs that the model takes; one that the tokenizer does not make is all zeros.
            width: Tokens, no fewer than the longest row has; None for the longest row's.

        Returns:
            Each input as int64 (rows, width).
        """
        width = width or int(self.lengths[list(rows)].max())
        padded = {}
        for name in names:
            padded[name] = np.full((len(rows), width), self._pad_token_id if name == "input_ids" else 0, np.int64)
            if name in self._columns:
                for place, row in enumerate(rows):
                    end = self._ends[row]
                    padded[name][place, : self.lengths[row]] = self._columns[name][end - self.lengths[row] : end]
        return padded
