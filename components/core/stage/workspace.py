"""The folders of a stage: a work folder to resume from, and an output that appears only when it is complete."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import IO

from compaware.components.core.base.distributed import barrier, call_on_main, is_main
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
# Records the identity of the run that a work folder belongs to.
_IDENTITY_FILE = "begun.json"


class Workspace:
    """The folders of one run of a stage.

    Attributes:
        work: Checkpoints and caches, kept if the process is killed and deleted when the stage is finished.
        output: Write the result here; it is moved to its final path when the stage is finished.
        identity: Hash of the settings and inputs. A run resumes only work of the same identity.
    """

    def __init__(self, config: ComponentConfig):
        self.final = config.output
        self.work = work_folder(config)
        self.output = self.work / "output"
        self.work_uri = config.work_uri
        self.identity = call_on_main(identity_of, config)
        self._extras: dict[Path, Path] = {}
        self._lock: IO[str] | None = None

    def extra(self, final: Path) -> Path:
        """Creates a folder for another result, which is moved to `final` just before the main one is moved."""
        folder = self.work / f"extra-{len(self._extras)}"
        if is_main():
            remove(folder)
            folder.mkdir(parents=True)
        self._extras[folder] = final
        return folder

    def lock(self) -> None:
        """Locks the work folder until the stage or this process ends.

        Raises:
            UserError: Another process holds the lock.
        """
        if self._lock is None:
            self._lock = lock_folder(self.work, str(self.final))

    def unlock(self) -> None:
        """Releases the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def clear(self) -> None:
        """Deletes the files of an earlier run from the work folder."""
        for path in sorted(self.work.iterdir(), key=lambda path: path.name == _IDENTITY_FILE):
            if path.name != LOCK:
                remove(path)

    def finish(self, summary: Summary) -> Summary:
        """Moves all results to their final paths, the main one last, and deletes the work folder (on rank 0)."""
        summary = summary.model_copy(update={"identity": self.identity})
        barrier()
        if is_main():
            summary.save(self.output)
            for folder, final in self._extras.items():
                move_replacing(folder, final)
            move_replacing(self.output, self.final)
            self.unlock()  # On NFS, a folder with an open file cannot be deleted.
            remove(self.work)
        barrier()
        return summary


def work_folder(config: ComponentConfig) -> Path:
    """Returns the folder for a stage's checkpoints and caches."""
    return config.work or config.output.with_name(config.output.name + ".work")


def run_stage(config: ComponentConfig, run: Callable[[Workspace], Summary]) -> Summary:
    """Runs a stage in its workspace, or returns the summary of a finished run with the same output.

    Raises:
        UserError: The output is not empty and `existing_output` is `error`, the run to resume has other settings or
            inputs, or another process works on it.
    """
    workspace = Workspace(config)
    try:
        finished = call_on_main(_prepare, config, workspace)
        if finished:
            log.info("%s is already finished; nothing to do", config.output)
            return finished
        return workspace.finish(run(workspace))
    finally:
        workspace.unlock()


def _prepare(config: ComponentConfig, workspace: Workspace) -> Summary | None:
    """Prepares the folders according to `existing_output`; returns the summary of a finished run, if there is one."""
    identity_file = workspace.work / _IDENTITY_FILE
    if workspace.work.is_dir():
        workspace.lock()
    has_output = _is_filled(config.output)
    if config.existing_output == "error" and has_output:
        raise not_empty_error(config.output)
    if config.existing_output == "error" and identity_file.exists() and _has_leftovers(workspace.work):
        raise UserError(
            f"an earlier run for {config.output} was not finished: set existing_output to 'resume' or 'overwrite'"
        )
    if config.existing_output == "resume" and has_output:
        return reuse_result(workspace.identity, Summary.load(config.output), config.output)
    if has_output and not (config.output / SUMMARY).is_file():
        raise foreign_files_error(config.output)
    if not identity_file.exists() and _has_leftovers(workspace.work):
        raise UserError(f"the work folder {workspace.work} contains other files: set `work` to an empty folder")
    for output in config.outputs().values():
        if _is_filled(output) and config.existing_output == "error":
            raise not_empty_error(output)
        if _is_filled(output) and not has_output and not identity_file.exists():
            raise foreign_files_error(output)
    workspace.lock()
    if config.existing_output == "resume" and identity_file.exists():
        if json.loads(identity_file.read_text(encoding="utf-8"))["identity"] != workspace.identity:
            raise UserError(
                f"the unfinished run for {config.output} has other settings or inputs: set existing_output=overwrite "
                "to start again"
            )
        log.info("resuming from the work folder %s", workspace.work)
    else:
        workspace.clear()
        if workspace.work_uri and config.existing_output == "overwrite":
            delete(workspace.work_uri)
    remove(workspace.output)
    workspace.output.mkdir(parents=True)
    write_text(identity_file, json.dumps({"identity": workspace.identity}))
    return None


def _is_filled(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _has_leftovers(work: Path) -> bool:
    """Whether a work folder contains more than the files of a stage that failed at its start."""
    if not work.is_dir():
        return False
    names = {path.name for path in work.iterdir()} - {LOCK, _IDENTITY_FILE, "output"}
    return not all(name.startswith(TRACE_PREFIX) for name in names)


def reuse_result(identity: str, summary: Summary, output: Path | str) -> Summary:
    """Returns the summary of an earlier run if its identity is that of the present run.

    Args:
        identity: Identity of the present run.
        summary: Summary of the earlier run.
        output: Output of the earlier run, for messages.

    Raises:
        UserError: The earlier run had other settings or inputs.
    """
    if summary.identity == identity:
        return summary
    raise UserError(f"{output} was made with other settings or inputs: set existing_output=overwrite to replace it")


def not_empty_error(output: Path | str) -> UserError:
    """Returns the error for an output that exists."""
    return UserError(f"{output} is not empty: choose another output, or set existing_output to 'resume' or 'overwrite'")


def foreign_files_error(output: Path | str) -> UserError:
    """Returns the error for an output with files that no component wrote, which must not be overwritten."""
    return UserError(f"{output} contains files that no component wrote: choose another output, or empty it")
