"""Soft labels: a teacher's logits for the training split, written once and tied to the data and the teacher.

The row groups match those of the split, so that both are read together, one group at a time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import write_text
from compaware.components.core.base.hashing import fingerprint_files
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.tokenizer import tokenizer_fingerprint

KEY_FILE = "soft_labels.json"
LOGITS_FILE = "logits.parquet"
_COLUMN = "logits"


class SoftLabelsKey(BaseModel):
    """Identifies the data and the teacher of soft labels.

    Attributes:
        dataset_fingerprint: `Manifest.fingerprint` of the data.
        split: Split of the data; the logits have one row for each of its rows.
        rows: Number of rows.
        num_labels: Logits in a row.
        teacher_fingerprint: SHA-256 of the teacher's weights and configuration.
        tokenizer_fingerprint: SHA-256 of the teacher's tokenizer files.
        max_length_tokens: Longest input of the teacher.
        runtime: Runtime that computed the logits.
        precision: Its precision.
    """

    dataset_fingerprint: str
    split: str
    rows: int
    num_labels: int
    teacher_fingerprint: str
    tokenizer_fingerprint: str
    max_length_tokens: int
    # Soft labels of earlier versions are from FP32 PyTorch.
    runtime: str = "torch"
    precision: str = "fp32"


@dataclass(frozen=True)
class SoftLabels:
    """Logits on disk that were checked against the data."""

    path: Path
    key: SoftLabelsKey

    def groups(self, numbers: Iterable[int] | None = None) -> Iterator[np.ndarray]:
        """Reads the logits one row group at a time: float32, (rows of the group, labels).

        Args:
            numbers: Numbers of the groups, see `PreparedDataset.groups`; all groups if None.
        """
        with pq.ParquetFile(self.path / LOGITS_FILE) as file:
            for number in range(file.num_row_groups) if numbers is None else numbers:
                column = file.read_row_group(number).column(_COLUMN).combine_chunks()
                yield column.flatten().to_numpy().reshape(-1, self.key.num_labels)


def write_soft_labels(folder: Path, groups: Iterable[np.ndarray], key: SoftLabelsKey) -> None:
    """Writes logits and, last, their key into `folder`.

    Args:
        folder: An existing folder.
        groups: float32 of shape (rows, labels) for each of the split's row groups, in order.
        key: The data and the teacher of the logits.
    """
    schema = pa.schema([(_COLUMN, pa.list_(pa.float32(), key.num_labels))])
    with pq.ParquetWriter(folder / LOGITS_FILE, schema) as writer:
        for logits in groups:
            writer.write_table(pa.table([logits_array(logits)], schema=schema))
    write_text(folder / KEY_FILE, key.model_dump_json(indent=2) + "\n")


def logits_array(logits: np.ndarray) -> pa.FixedSizeListArray:
    """Converts logits, (rows, labels), to a column of float32 lists."""
    flat = pa.array(np.ascontiguousarray(logits, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, logits.shape[1])


def load_soft_labels(folder: str | Path, dataset: PreparedDataset, teacher: Path | None = None) -> SoftLabels:
    """Opens soft labels of the training split and checks that they belong to the data.

    Args:
        folder: A folder that `write_soft_labels` wrote.
        dataset: The data that the logits must belong to.
        teacher: Folder of the teacher and its tokenizer that must have made the logits; not checked if None.

    Raises:
        UserError: The folder has no soft labels, or they are incomplete or belong to other data or another teacher.
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
    if (key.split, key.rows, key.num_labels) != ("train", manifest.splits["train"], manifest.num_labels):
        raise UserError(f"the soft labels in {path} do not fit split 'train': run teacher_check on {dataset.path}")
    if teacher and (key.teacher_fingerprint, key.tokenizer_fingerprint) != (
        model_fingerprint(teacher),
        tokenizer_fingerprint(teacher),
    ):
        raise UserError(
            f"the soft labels in {path} belong to another teacher than {teacher}: give the model and the soft "
            "labels of the same run of teacher_check"
        )
    if not (path / LOGITS_FILE).is_file() or pq.read_metadata(path / LOGITS_FILE).num_rows != key.rows:
        raise UserError(f"the soft labels in {path} are incomplete: run teacher_check on {dataset.path} again")
    return SoftLabels(path, key)


def model_fingerprint(folder: Path) -> str:
    """Returns the SHA-256 of a saved model's weights and configuration."""
    return fingerprint_files([folder / "model.safetensors", folder / "config.json"])
