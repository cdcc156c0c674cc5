"""The checkpoints of one training: on this node's disk and, where a URI is given, kept there for other nodes."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from compaware.components.core.base.distributed import barrier, broadcast, is_local_main, is_main, world_size
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import move_replacing, remove, write_text
from compaware.components.storage import delete, exists, fetch, upload

# Trainer writes this file of a checkpoint last.
_LAST_FILE = "trainer_state.json"
_INDEX = "checkpoints.json"
log = logging.getLogger(__name__)


class CheckpointedCallback(TrainerCallback):
    """A callback whose state a resumed training needs."""

    def save(self, folder: Path) -> None:
        """Writes the state into a checkpoint before it counts as whole; on rank 0."""
        raise NotImplementedError


class Checkpoints(TrainerCallback):
    """Finds the checkpoint to go on from, and sends new ones away as Trainer writes them.

    What is sent is listed in an index that is written last, so a half-sent checkpoint is never gone on from.
    """

    def __init__(self, folder: Path, uri: str | None, identity: str):
        """Names the places.

        Args:
            folder: Trainer's output folder.
            uri: Where checkpoints are kept, too; None for nowhere. Then, several nodes need `folder` on a shared disk.
            identity: Of the work; checkpoints of other work are refused.
        """
        self.folder = folder
        self._uri = uri.rstrip("/") if uri else None
        self._identity = identity
        self._sent: list[str] = []

    def newest(self) -> Path | None:
        """The checkpoint that all ranks go on from, brought to this node; None at the start.

        Raises:
            UserError: This node does not see it, or what is kept belongs to other work.
        """
        self._sent = broadcast(self._read_index() if self._uri and is_main() else [])
        if self._uri and is_local_main():
            for name in self._sent:
                self._bring(name)
        newest = broadcast(self._newest_here() if is_main() else None)
        if newest and is_local_main():
            self._point_to_best_here(self.folder / newest / _LAST_FILE)
        barrier()
        if newest is None:
            return None
        if not _is_whole(self.folder / newest):
            raise UserError(
                f"this node has no {newest} in {self.folder}: put `work` on a disk that all share, or set work_uri"
            )
        processes = len(list((self.folder / newest).glob("rng_state*.pth")))  # Trainer saves one for each.
        if processes != world_size():
            # An elastic job loses nodes and goes on.
            log.warning(
                "%s was saved by %d processes, and %d go on: a step has another number of rows now, so that rows of "
                "this epoch are seen again, or not at all",
                *(newest, processes, world_size()),
            )
        log.info("resuming from %s", newest)
        return self.folder / newest

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Sends what Trainer keeps and is not there yet, and forgets what it has dropped (rank 0)."""
        if not (self._uri and is_main()):
            return
        present = [path.name for path in self._whole()]
        for name in present:
            if name not in self._sent:
                upload(self.folder / name, f"{self._uri}/{name}")
        dropped = [name for name in self._sent if name not in present]
        self._sent = present
        index = self.folder / _INDEX
        write_text(index, json.dumps({"identity": self._identity, "checkpoints": present}))
        upload(index, f"{self._uri}/{_INDEX}")
        for name in dropped:
            delete(f"{self._uri}/{name}")

    def _read_index(self) -> list[str]:
        uri = f"{self._uri}/{_INDEX}"
        if not exists(uri):
            return []
        index = json.loads(fetch(uri, self.folder.parent / "downloads").read_text(encoding="utf-8"))
        if index["identity"] != self._identity:
            raise UserError(f"{self._uri} was begun with other settings: choose another work_uri, or empty it")
        return list(index["checkpoints"])

    def _bring(self, name: str) -> None:
        if _is_whole(self.folder / name):
            return
        found = fetch(f"{self._uri}/{name}", self.folder.parent / "downloads", require_manifest=True)
        staged = self.folder / f".{name}"
        remove(staged)
        shutil.copytree(found, staged)
        move_replacing(staged, self.folder / name)

    def _point_to_best_here(self, file: Path) -> None:
        """Trainer records where its best checkpoint is, and forgets one that is not there: the work may have moved."""
        state = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        best = state.get("best_model_checkpoint")
        if best and (self.folder / Path(best).name).is_dir():
            state["best_model_checkpoint"] = str(self.folder / Path(best).name)
            write_text(file, json.dumps(state, indent=2, sort_keys=True) + "\n")

    def _newest_here(self) -> str | None:
        """The newest whole checkpoint that all nodes can have; half-written ones are removed."""
        whole = self._whole()
        for path in self.folder.glob("checkpoint-*"):
            if path not in whole:
                remove(path)
        names = [path.name for path in whole if not self._uri or path.name in self._sent]
        return names[-1] if names else None

    def _whole(self) -> list[Path]:
        found = [path for path in self.folder.glob("checkpoint-*") if _is_whole(path)]
        return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def _is_whole(checkpoint: Path) -> bool:
    """Whether Trainer came to the end of its last file: a kill can leave the file empty or cut off."""
    try:
        json.loads((checkpoint / _LAST_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return True
