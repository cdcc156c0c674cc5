"""The soft labels while they are made: the ranks of a job compute a part each, and a killed job keeps what it has.

Part i is row group i of the training split, in a file of its own. Where a part's file is depends on the teacher's
weights, the data and all else that the logits follow from, so what is there is right, whoever made it.
"""

import logging
import os
from collections.abc import Iterator

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compaware.components.core.base import cpu
from compaware.components.core.base.distributed import device, local_world_size, rank, world_size
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.hashing import short_hash
from compaware.components.core.base.progress import Progress
from compaware.components.core.data.dataset import GROUP_ROWS, PreparedDataset
from compaware.components.core.data.soft_labels import SoftLabelsKey
from compaware.components.core.data.text import table_batches
from compaware.components.core.models.pairing import input_names
from compaware.components.core.stage.workspace import Workspace
from compaware.components.storage import exists, fetch, upload

log = logging.getLogger(__name__)


def require_shared_storage(workspace: Workspace) -> None:
    """Checks, at the start of a stage, that rank 0 can read what this rank is going to write.

    Raises:
        UserError: This node has another disk, and there is no URI.
    """
    # Rank 0 alone has made this folder.
    if not workspace.work_uri and not workspace.output.is_dir():
        raise UserError(
            f"this node does not see {workspace.output}: put `work` on a disk that all nodes share, or set work_uri"
        )


class SoftLabelParts:
    """The parts in the work folder and, where there is one, at the work URI.

    Attributes:
        key: What the logits belong to; the same on all ranks.
    """

    def __init__(self, dataset: PreparedDataset, key: SoftLabelsKey, workspace: Workspace):
        self.key = key
        self._dataset = dataset
        self._downloads = workspace.work / "downloads"
        name = f"soft_labels/{short_hash(key.model_dump_json())}"
        self._folder = workspace.work / name
        self._uri = f"{workspace.work_uri.rstrip('/')}/{name}" if workspace.work_uri else None

    def compute(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int) -> None:
        """Makes this rank's parts, those that are not there yet.

        Args:
            model: The teacher, with the weights that the key names; moved to this process's device.
            tokenizer: Its tokenizer.
            batch_size: Rows in a batch; batches hold rows of similar length, of one part.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        mine = range(rank(), self._dataset.group_count(self.key.split), world_size())
        missing = [number for number in mine if not self._is_there(number)]
        if len(missing) < len(mine):
            log.info("soft labels: %d of %d parts of this rank are there", len(mine) - len(missing), len(mine))
        torch.set_num_threads(cpu.threads(local_world_size()))
        model.to(device()).eval()
        names = input_names(model)
        progress, done = Progress("row", sum(self._rows(number) for number in missing)), 0
        for number, table in zip(missing, self._dataset.groups(self.key.split, missing), strict=True):
            logits = np.empty((table.num_rows, self.key.num_labels), np.float32)
            for indices, batch in table_batches(table, tokenizer, names, self.key.max_length_tokens, batch_size):
                logits[indices] = _answer(model, batch)
                done += len(indices)
                progress.update(done, "soft labels", samples_per_count=world_size())
            self._save(number, logits)

    def groups(self) -> Iterator[np.ndarray]:
        """All parts in order, each float32 (rows, labels); when all ranks have made theirs."""
        for number in range(self._dataset.group_count(self.key.split)):
            file = self._folder / _name(number)
            if self._uri and not file.is_file():
                file = fetch(f"{self._uri}/{_name(number)}", self._downloads, require_manifest=True)
            yield np.load(file)

    def _is_there(self, number: int) -> bool:
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


def _answer(model: PreTrainedModel, batch: dict[str, np.ndarray]) -> np.ndarray:
    with torch.inference_mode():
        output = model(**{name: torch.from_numpy(values).to(model.device) for name, values in batch.items()})
    return output.logits.float().cpu().numpy()


def _name(number: int) -> str:
    return f"part-{number:06d}.npy"
