"""A split of texts in one file, from which a worker builds batches for a model that tokenizes by itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

TEXT_COLUMNS = ("text", "text_pair")


def text_columns(table: pa.Table) -> dict[str, list[str]]:
    """Returns the one or two text columns of a split's rows."""
    return {name: table[name].to_pylist() for name in TEXT_COLUMNS if name in table.column_names}


class TextSplit:
    """Rows of one or two texts, with the interface of `TokenizedSplit`.

    Args:
        columns: By name of the column, the texts of all rows.
    """

    def __init__(self, columns: dict[str, list[str]]):
        self._columns = {name: np.array([*texts, None], object)[:-1] for name, texts in columns.items()}
        self.lengths = np.array([sum(map(len, row)) for row in zip(*columns.values(), strict=True)])

    @classmethod
    def load(cls, file: Path) -> "TextSplit":
        """Loads a file that `save` wrote."""
        with np.load(file) as arrays:
            names = [name for name in TEXT_COLUMNS if f"bytes_{name}" in arrays.files]
            return cls({name: _texts(arrays[f"bytes_{name}"], arrays[f"ends_{name}"]) for name in names})

    def save(self, file: Path) -> None:
        """Saves the texts as UTF-8 in an npz file, which needs no pickle."""
        arrays: dict[str, Any] = {}
        for name, texts in self._columns.items():
            encoded = [text.encode() for text in texts]
            arrays[f"bytes_{name}"] = np.frombuffer(b"".join(encoded), np.uint8)
            arrays[f"ends_{name}"] = np.cumsum([len(text) for text in encoded], dtype=np.int64)
        np.savez(file, **arrays)

    def batch(self, rows: Sequence[int], names: Sequence[str], width: int | None) -> dict[str, np.ndarray]:
        """Returns the texts of some rows by column; `width` has no meaning here."""
        return {name: self._columns[name][list(rows)] for name in names}


def _texts(encoded: np.ndarray, ends: np.ndarray) -> list[str]:
    starts = [0, *ends[:-1].tolist()]
    return [encoded[start:end].tobytes().decode() for start, end in zip(starts, ends.tolist(), strict=True)]
