"""Where a stage works until it is done: a folder that survives a kill, and an output that appears only whole."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import IO

from compaware.components.core.base.distributed import barrier, broadcast, is_main
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.faults import TRACE_PREFIX
from compaware.components.core.base.files import move_replacing, remove, write_text
from compaware.components.core.base.lock import FILE_NAME as LOCK
from compaware.components.core.base.lock import lock_folder
from compaware.components.core.base.summary import FILE_NAME as SUMMARY
from compaware.components.core.base.summary import Summary
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.identity import identity_of
from compaware.components.storage import delete

log = logging.getLogger(__name__)
# Says whose work a folder holds.
_BEGUN = "begun.json"


class Workspace:
    """The folders of one run of a stage.

    Attributes:
        work: Survives a kill: checkpoints and caches. Removed when the stage is done.
        output: Fill this with the artifact; it gets its final name when the stage is done.
        identity: Of the settings and inputs; work of another one is not gone on with.
    """

    def __init__(self, config: ComponentConfig):
        self.final = config.output
        self.work = work_folder(config)
        self.output = self.work / "output"
        self.work_uri = config.work_uri
        self.identity = broadcast(identity_of(config) if is_main() else "")
        self._extras: dict[Path, Path] = {}
        self._lock: IO[str] | None = None

    def extra(self, final: Path) -> Path:
        """A folder to fill for a second artifact, which gets the name `final` just before the main one does."""
        folder = self.work / f"extra-{len(self._extras)}"
        if is_main():
            remove(folder)
            folder.mkdir(parents=True)
        self._extras[folder] = final
        return folder

    def lock(self) -> None:
        """Keeps other processes out of the work folder until the stage, or this process, ends.

        Raises:
            UserError: Another process is at work there.
        """
        if self._lock is None:
            self._lock = lock_folder(self.work, str(self.final))

    def unlock(self) -> None:
        """Lets others in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def clear(self) -> None:
        """Removes what an earlier run left in the work folder."""
        for path in sorted(self.work.iterdir(), key=lambda path: path.name == _BEGUN):
            if path.name != LOCK:
                remove(path)

    def finish(self, summary: Summary) -> Summary:
        """Gives all artifacts their final names, the main one last, and clears the work away (rank 0)."""
        summary = summary.model_copy(update={"identity": self.identity})
        barrier()
        if is_main():
            summary.save(self.output)
            for folder, final in self._extras.items():
                move_replacing(folder, final)
            move_replacing(self.output, self.final)
            self.unlock()  # On NFS, a folder with an open file cannot be removed.
            remove(self.work)
        barrier()
        return summary


def work_folder(config: ComponentConfig) -> Path:
    """Where a stage keeps what must survive a kill."""
    return config.work or config.output.with_name(config.output.name + ".work")


def run_stage(config: ComponentConfig, run: Callable[[Workspace], Summary]) -> Summary:
    """Runs a stage in its workspace, or returns the summary of the finished one that is already there.

    Raises:
        UserError: The output holds something and neither resuming nor overwriting was asked, what is to be resumed was
            begun with another configuration or other inputs, or another process is at it.
    """
    workspace = Workspace(config)
    try:
        finished = broadcast(_open(config, workspace) if is_main() else None)
        if finished:
            log.info("%s is already finished; nothing to do", config.output)
            return finished
        return workspace.finish(run(workspace))
    finally:
        workspace.unlock()


def _open(config: ComponentConfig, workspace: Workspace) -> Summary | None:
    """Prepares the folders as `existing_output` says; returns the summary of a stage that is finished already."""
    begun = workspace.work / _BEGUN
    if workspace.work.is_dir():
        workspace.lock()
    has_output = _holds_something(config.output)
    if config.existing_output == "error" and has_output:
        raise not_empty(config.output)
    if config.existing_output == "error" and begun.exists() and _left_behind(workspace.work):
        raise UserError(
            f"an earlier run for {config.output} was not finished: set existing_output to 'resume' or 'overwrite'"
        )
    if config.existing_output == "resume" and has_output:
        return earlier_result(workspace.identity, Summary.load(config.output), config.output)
    if has_output and not (config.output / SUMMARY).is_file():
        raise not_ours(config.output)
    if not begun.exists() and _left_behind(workspace.work):
        raise UserError(f"the work folder {workspace.work} holds other files: set `work` to a folder of its own")
    for output in config.outputs().values():
        if _holds_something(output) and config.existing_output == "error":
            raise not_empty(output)
        if _holds_something(output) and not has_output and not begun.exists():
            raise not_ours(output)
    workspace.lock()
    if config.existing_output == "resume" and begun.exists():
        if json.loads(begun.read_text(encoding="utf-8"))["identity"] != workspace.identity:
            raise UserError(
                f"the unfinished run for {config.output} has other settings or inputs: set existing_output=overwrite "
                "to start anew"
            )
        log.info("going on with the work in %s", workspace.work)
    else:
        workspace.clear()
        if workspace.work_uri and config.existing_output == "overwrite":
            delete(workspace.work_uri)
    remove(workspace.output)
    workspace.output.mkdir(parents=True)
    write_text(begun, json.dumps({"identity": workspace.identity}))
    return None


def _holds_something(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _left_behind(work: Path) -> bool:
    """Whether a work folder holds more than what a stage has that failed at its beginning."""
    if not work.is_dir():
        return False
    names = {path.name for path in work.iterdir()} - {LOCK, _BEGUN, "output"}
    return not all(name.startswith(TRACE_PREFIX) for name in names)


def earlier_result(identity: str, summary: Summary, where: Path | str) -> Summary:
    """Accepts the result of an earlier run in place of a new one.

    Args:
        identity: Of what is to be done now.
        summary: Of what is there.
        where: Where it is.

    Raises:
        UserError: It was made with other settings or inputs.
    """
    if summary.identity == identity:
        return summary
    raise UserError(f"{where} was made with other settings or inputs: set existing_output=overwrite to redo it")


def not_empty(where: Path | str) -> UserError:
    """An error for an output that is there already."""
    return UserError(f"{where} is not empty: choose another output, or set existing_output to 'resume' or 'overwrite'")


def not_ours(where: Path | str) -> UserError:
    """An error for an output that no component has made, so that it is not overwritten."""
    return UserError(f"{where} holds files that no component wrote: choose another output, or empty it")
