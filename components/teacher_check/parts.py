"""Computes soft labels in parts, which the ranks of a job share and a restarted job reuses.

Part i is row group i of the training split, in its own file. The path of the file contains a hash of the teacher's
weights, the data, the runtime and everything else that determines the logits, so an existing file is always valid.
"""

import logging
import os
from collections.abc import Iterator, Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from compaware.components.core.base.distributed import rank, world_size
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.hashing import short_hash
from compaware.components.core.base.progress import Progress
from compaware.components.core.data.dataset import GROUP_ROWS, PreparedDataset
from compaware.components.core.data.soft_labels import SoftLabelsKey
from compaware.components.core.data.text import table_batches
from compaware.components.core.stage.workspace import Workspace
from compaware.components.storage import exists, fetch, upload
from compaware.components.teacher_check.runtime import Teacher

log = logging.getLogger(__name__)


def require_shared_storage(workspace: Workspace) -> None:
    """Checks, at the start of a stage, that rank 0 can read the files of this rank.

    Raises:
        UserError: The nodes share no disk, and there is no URI.
    """
    # Only rank 0 creates this folder.
    if not workspace.work_uri and not workspace.output.is_dir():
        raise UserError(
            f"this node does not see {workspace.output}: put `work` on a disk that all nodes share, or set work_uri"
        )


class SoftLabelParts:
    """The parts of the soft labels in the work folder and, if it is given, at the work URI.

    Attributes:
        key: The data, teacher and runtime of the logits; the same on all ranks.
    """

    def __init__(self, dataset: PreparedDataset, key: SoftLabelsKey, workspace: Workspace):
        self.key = key
        self._dataset = dataset
        self._downloads = workspace.work / "downloads"
        name = f"soft_labels/{short_hash(key.model_dump_json())}"
        self._folder = workspace.work / name
        self._uri = f"{workspace.work_uri.rstrip('/')}/{name}" if workspace.work_uri else None

    def compute(
        self, teacher: Teacher, input_names: Sequence[str], tokenizer: PreTrainedTokenizerBase, batch_size: int
    ) -> None:
        """Computes the missing parts of this rank.

        Args:
            teacher: The teacher, in the runtime of the key.
            input_names: The teacher's inputs.
            tokenizer: Its tokenizer.
            batch_size: Rows in a batch; a batch has rows of similar length from one part.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        own = range(rank(), self._dataset.group_count(self.key.split), world_size())
        missing = [number for number in own if not self._exists(number)]
        if len(missing) < len(own):
            log.info("soft labels: %d of %d parts of this rank exist already", len(own) - len(missing), len(own))
        progress, done = Progress("row", sum(self._rows(number) for number in missing)), 0
        for number, table in zip(missing, self._dataset.groups(self.key.split, missing), strict=True):
            logits = np.empty((table.num_rows, self.key.num_labels), np.float32)
            batches = table_batches(table, tokenizer, input_names, self.key.max_length_tokens, batch_size)
            for indices, predicted in teacher.run(batches):
                logits[indices] = predicted
                done += len(indices)
                progress.update(done, "soft labels", samples_per_count=world_size())
            self._save(number, logits)

    def groups(self) -> Iterator[np.ndarray]:
        """Yields all parts in order, each float32 (rows, labels); call it when all ranks have finished."""
        for number in range(self._dataset.group_count(self.key.split)):
            file = self._folder / _name(number)
            if self._uri and not file.is_file():
                file = fetch(f"{self._uri}/{_name(number)}", self._downloads, require_manifest=True)
            yield np.load(file)

    def _exists(self, number: int) -> bool:
        file, uri = self._folder / _name(number), f"{self._uri}/{_name(number)}"
        if self._uri and exists(uri):
            return True
        if self._uri and file.is_file():
            upload(file, uri)
        return file.is_file()

    def _save(self, number: int, logits: np.ndarray) -> None:
        staged = self._folder / f".{_name(number)}"
        with staged.open("wb") as stream:
            np.save(stream, logits)
        os.replace(staged, self._folder / _name(number))
        if self._uri:
            upload(self._folder / _name(number), f"{self._uri}/{_name(number)}")

    def _rows(self, number: int) -> int:
        return min(GROUP_ROWS, self.key.rows - number * GROUP_ROWS)


def _name(number: int) -> str:
    return f"part-{number:06d}.npy"
