"""Checkpoints of a training: on this node's disk and, if a URI is given, uploaded for other nodes."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from compaware.components.core.base.distributed import (
    barrier,
    call_on_main,
    is_local_main,
    is_main,
    world_size,
)
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import move_replacing, remove, write_text
from compaware.components.storage import discard, exists, fetch, upload

# The last file of a checkpoint that Trainer writes.
_LAST_FILE = "trainer_state.json"
_INDEX = "checkpoints.json"
log = logging.getLogger(__name__)


class CheckpointedCallback(TrainerCallback):
    """A callback with state that a resumed training needs."""

    def save(self, folder: Path) -> None:
        """Saves the state in a checkpoint before it is complete; on rank 0."""
        raise NotImplementedError


class Checkpoints(TrainerCallback):
    """Finds the checkpoint to resume from, and uploads new checkpoints when Trainer saves them.

    An index lists the uploaded checkpoints and is uploaded last, so no run resumes from a partial checkpoint.
    """

    def __init__(self, folder: Path, uri: str | None, identity: str):
        """Sets the locations.

        Args:
            folder: Trainer's output folder.
            uri: URI to upload checkpoints to. If None, several nodes need `folder` on a shared disk.
            identity: Identifies the work; checkpoints of other work are rejected.
        """
        self.folder = folder
        self._uri = uri.rstrip("/") if uri else None
        self._identity = identity
        self._uploaded: list[str] = []

    def newest(self) -> Path | None:
        """Returns the newest checkpoint, downloaded to this node, for all ranks to resume from; None if there is none.

        Raises:
            UserError: This node lacks the checkpoint, or the checkpoints at the URI belong to other work.
        """
        self._uploaded = call_on_main(self._read_index) if self._uri else []
        if self._uri and is_local_main():
            for name in self._uploaded:
                self._download(name)
        newest = call_on_main(self._newest_name)
        if newest and is_local_main():
            self._update_best_path(self.folder / newest / _LAST_FILE)
        barrier()
        if newest is None:
            return None
        if not _is_complete(self.folder / newest):
            raise UserError(
                f"this node has no {newest} in {self.folder}: put `work` on a disk that all nodes share, or "
                "set work_uri"
            )
        processes = len(list((self.folder / newest).glob("rng_state*.pth")))  # One file for each process.
        if processes != world_size():
            # An elastic job continues with fewer nodes.
            log.warning(
                "%s was saved by %d processes and is resumed by %d: the batches differ, so some rows of this epoch are "
                "repeated or skipped",
                *(newest, processes, world_size()),
            )
        log.info("resuming from %s", newest)
        return self.folder / newest

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Uploads new checkpoints, and deletes those that Trainer has deleted (rank 0)."""
        if not (self._uri and is_main()):
            return
        present = [path.name for path in self._complete()]
        for name in present:
            if name not in self._uploaded:
                upload(self.folder / name, f"{self._uri}/{name}")
        deleted = [name for name in self._uploaded if name not in present]
        self._uploaded = present
        index = self.folder / _INDEX
        write_text(index, json.dumps({"identity": self._identity, "checkpoints": present}))
        upload(index, f"{self._uri}/{_INDEX}")
        for name in deleted:
            discard(f"{self._uri}/{name}")

    def _read_index(self) -> list[str]:
        uri = f"{self._uri}/{_INDEX}"
        if not exists(uri):
            return []
        index = json.loads(fetch(uri, self.folder.parent / "downloads").read_text(encoding="utf-8"))
        if index["identity"] != self._identity:
            raise UserError(f"{self._uri} holds work with other settings: choose another work_uri, or empty it")
        return list(index["checkpoints"])

    def _download(self, name: str) -> None:
        if _is_complete(self.folder / name):
            return
        download = fetch(f"{self._uri}/{name}", self.folder.parent / "downloads", require_manifest=True)
        staged = self.folder / f".{name}"
        remove(staged)
        shutil.copytree(download, staged)
        move_replacing(staged, self.folder / name)

    def _update_best_path(self, file: Path) -> None:
        """Updates the recorded path of the best checkpoint: Trainer ignores a missing path, and the folder may move."""
        state = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        best = state.get("best_model_checkpoint")
        if best and (self.folder / Path(best).name).is_dir():
            state["best_model_checkpoint"] = str(self.folder / Path(best).name)
            write_text(file, json.dumps(state, indent=2, sort_keys=True) + "\n")

    def _newest_name(self) -> str | None:
        """Returns the name of the newest checkpoint that all nodes can read, and removes incomplete checkpoints."""
        complete = self._complete()
        for path in self.folder.glob("checkpoint-*"):
            if path not in complete:
                remove(path)
        names = [path.name for path in complete if not self._uri or path.name in self._uploaded]
        return names[-1] if names else None

    def _complete(self) -> list[Path]:
        checkpoints = [path for path in self.folder.glob("checkpoint-*") if _is_complete(path)]
        return sorted(checkpoints, key=lambda path: int(path.name.rpartition("-")[2]))


def _is_complete(checkpoint: Path) -> bool:
    """Returns whether the last file of a checkpoint is valid: a killed run can leave it empty or truncated."""
    try:
        json.loads((checkpoint / _LAST_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return True
