"""Soft labels: a teacher's logits for the training split, written once and bound to the data they were made from."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from compaware.components.core.artifacts import write_text
from compaware.components.core.dataset import PreparedDataset
from compaware.components.core.errors import UserError

KEY_FILE = "soft_labels.json"
LOGITS_FILE = "logits.parquet"


class SoftLabelsKey(BaseModel):
    """What the logits belong to.

    Attributes:
        dataset_fingerprint: `Manifest.fingerprint` of the data.
        split: The split that has one row of logits per row.
        rows: Number of rows.
        num_labels: Width of a row.
        teacher_fingerprint: SHA-256 of the teacher's weights and configuration.
        tokenizer_fingerprint: SHA-256 of the teacher's tokenizer files.
        max_length_tokens: Longest input that the teacher saw.
    """

    dataset_fingerprint: str
    split: str
    rows: int
    num_labels: int
    teacher_fingerprint: str
    tokenizer_fingerprint: str
    max_length_tokens: int


def write_soft_labels(folder: Path, logits: np.ndarray, key: SoftLabelsKey) -> None:
    """Writes logits, float32 of shape (rows, labels), and their key into `folder`."""
    flat = pa.array(np.ascontiguousarray(logits, np.float32).reshape(-1))
    table = pa.table({"logits": pa.FixedSizeListArray.from_arrays(flat, key.num_labels)})
    pq.write_table(table, folder / LOGITS_FILE)
    write_text(folder / KEY_FILE, key.model_dump_json(indent=2) + "\n")


def load_soft_labels(folder: str | Path, dataset: PreparedDataset, split: str = "train") -> np.ndarray:
    """Reads the logits for a split, in its row order.

    Returns:
        float32, (rows, labels).

    Raises:
        UserError: The folder holds none, or they were made from other data.
    """
    path = Path(folder)
    if not (path / KEY_FILE).is_file():
        raise UserError(f"{path} has no {KEY_FILE}: give a folder of soft labels that teacher_check wrote")
    key = SoftLabelsKey.model_validate_json((path / KEY_FILE).read_text(encoding="utf-8"))
    manifest = dataset.manifest
    if key.dataset_fingerprint != manifest.fingerprint:
        raise UserError(
            f"the soft labels in {path} belong to other data (fingerprint {key.dataset_fingerprint[:12]}, this data "
            f"set has {manifest.fingerprint[:12]}): run teacher_check on {dataset.path}"
        )
    if (key.split, key.rows, key.num_labels) != (split, manifest.splits[split], manifest.num_labels):
        raise UserError(f"the soft labels in {path} do not fit split '{split}': run teacher_check on {dataset.path}")
    column = pq.read_table(path / LOGITS_FILE).column("logits").combine_chunks()
    return column.flatten().to_numpy().reshape(key.rows, key.num_labels)
