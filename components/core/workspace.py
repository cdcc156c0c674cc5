"""Where a stage works until it is done: a folder that survives a kill, and an output that appears only whole."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compaware.components.core.artifacts import put_in_place, remove, write_text
from compaware.components.core.config import ComponentConfig
from compaware.components.core.distributed import barrier, broadcast, is_main
from compaware.components.core.errors import UserError
from compaware.components.core.summary import Summary
from compaware.components.storage import delete

log = logging.getLogger(__name__)


class Workspace:
    """The folders of one run of a stage.

    Attributes:
        work: Survives a kill: checkpoints and caches. Removed when the stage is done.
        output: Fill this with the artifact; it gets its final name when the stage is done.
    """

    def __init__(self, config: ComponentConfig):
        self.final = config.output
        self.work = work_folder(config)
        self.output = self.work / "output"
        self.work_uri = config.work_uri
        self.identity = identity_of(config.model_dump(mode="json"))
        self._extras: dict[Path, Path] = {}

    def extra(self, final: Path) -> Path:
        """A folder to fill for a second artifact, which gets the name `final` just before the main one does."""
        folder = self.work / f"extra-{len(self._extras)}"
        if is_main():
            remove(folder)
            folder.mkdir(parents=True)
        self._extras[folder] = final
        return folder

    def publish(self, summary: Summary) -> None:
        """Gives all artifacts their final names, the main one last, and clears the work away (rank 0)."""
        barrier()
        if is_main():
            summary.save(self.output)
            for folder, final in self._extras.items():
                put_in_place(folder, final)
            put_in_place(self.output, self.final)
            remove(self.work)
        barrier()


def work_folder(config: ComponentConfig) -> Path:
    """Where a stage keeps what must survive a kill."""
    return config.work or config.output.with_name(config.output.name + ".work")


def run_stage(config: ComponentConfig, run: Callable[[Workspace], Summary]) -> Summary:
    """Runs a stage in its workspace, or returns the summary of the finished one that is already there.

    Raises:
        UserError: The output holds something and neither resuming nor overwriting was asked, or what is to be
            resumed was begun with another configuration.
    """
    workspace = Workspace(config)
    finished = broadcast(_open(config, workspace) if is_main() else None)
    if finished:
        log.info("%s is already finished; nothing to do", config.output)
        return finished
    summary = run(workspace)
    workspace.publish(summary)
    return summary


def _open(config: ComponentConfig, workspace: Workspace) -> Summary | None:
    """Prepares the folders as `existing_output` says; returns the summary of a stage that is finished already."""
    begun = workspace.work / "begun.json"
    has_output = config.output.is_file() or (config.output.is_dir() and any(config.output.iterdir()))
    if config.existing_output == "error" and (has_output or begun.exists()):
        raise _not_empty(config.output if has_output else workspace.work)
    if config.existing_output == "resume" and has_output:
        return earlier_result(config, Summary.load(config.output), config.output)
    if config.existing_output == "resume" and begun.exists():
        if json.loads(begun.read_text(encoding="utf-8"))["identity"] != workspace.identity:
            raise UserError(
                f"{workspace.work} was begun with other settings: set existing_output=overwrite to start anew"
            )
        log.info("going on with the work in %s", workspace.work)
    else:
        remove(workspace.work)
        if workspace.work_uri and config.existing_output == "overwrite":
            delete(workspace.work_uri)
    remove(workspace.output)
    workspace.output.mkdir(parents=True)
    write_text(begun, json.dumps({"identity": workspace.identity}))
    return None


def earlier_result(config: ComponentConfig, summary: Summary, where: Path | str) -> Summary:
    """Accepts the result of an earlier run in place of a new one.

    Args:
        config: What is to be done now.
        summary: Of what is there.
        where: Where it is.

    Raises:
        UserError: It was made with other settings, or resuming was not asked for.
    """
    if config.existing_output == "error":
        raise _not_empty(where)
    if identity_of(summary.config) == identity_of(config.model_dump(mode="json")):
        return summary
    raise UserError(f"{where} was made with other settings: set existing_output=overwrite to redo it")


def _not_empty(where: Path | str) -> UserError:
    return UserError(f"{where} is not empty: choose another output, or set existing_output to 'resume' or 'overwrite'")


def identity_of(values: dict[str, Any]) -> str:
    """SHA-256 of a configuration; where a stage runs and writes is no part of it, so a resumed run may move."""
    values = {key: value for key, value in values.items() if not key.startswith("work") and not key.endswith("output")}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
