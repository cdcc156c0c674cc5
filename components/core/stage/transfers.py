"""Inputs and outputs of a component that lie behind URIs: brought to this node first, sent off at the end.

Any path in a component's configuration may be a URI (file, s3, minio) instead. What a component of ours has sent is
checked against its manifest; what KFP has sent, when the task that made it was done, has none.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import BaseModel

from compaware.components.core.base.distributed import broadcast, is_main
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import remove
from compaware.components.core.base.hashing import short_hash
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import ConfigType
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.identity import identity_of
from compaware.components.core.stage.workspace import earlier_result, not_empty, not_ours
from compaware.components.storage import (
    delete,
    exists,
    fetch,
    has_unfinished_upload,
    is_empty,
    is_uri,
    record_uri,
    upload,
)
from compaware.components.storage.places import read_place
from compaware.components.storage.summaries import load_uploaded_summary


@dataclass(frozen=True)
class Transfers:
    """The URIs of one run.

    Attributes:
        values: The configuration with local paths in the place of URIs.
        uris: The URI that each of those paths stands for.
        inputs: Those of them that are read.
        outputs: Key to URI; `output` and the keys that end so.
        cache: Folder that inputs are downloaded to; shared by the processes of a node.
    """

    values: dict[str, Any]
    uris: dict[Path, str]
    inputs: dict[Path, str]
    outputs: dict[str, str]
    cache: Path

    @classmethod
    def plan(cls, config_class: type[ComponentConfig], values: dict[str, Any]) -> Self:
        """Finds the URIs among a configuration's paths, in lists and parts, too; nothing is read yet.

        Raises:
            UserError: A URI is of an unknown kind or not whole.
        """
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "compaware"
        found: dict[Path, str] = {}
        local = _localize(config_class, values, "", root / "runs", found)
        outputs = {key: value for key, value in values.items() if key.endswith("output") and is_uri(str(value))}
        for path, uri in found.items():
            record_uri(path, uri)
        inputs = {path: uri for path, uri in found.items() if uri not in outputs.values()}
        return cls(local, found, inputs, outputs, root / "artifacts")

    def download_inputs(self, config: ConfigType) -> ConfigType:
        """Downloads the inputs.

        Args:
            config: What `values` were validated to.

        Returns:
            The configuration with the inputs' paths.

        Raises:
            UserError: An input is not there, is corrupt, or cannot be reached.
        """
        return _replace(config, {path: fetch(uri, self.cache) for path, uri in self.inputs.items()})

    def finished_summary(self, config: ComponentConfig) -> Summary | None:
        """The summary of a run that has sent its output already (all ranks get it).

        Raises:
            UserError: As `workspace.earlier_result`; or something else is at the output.
        """
        return broadcast(_look_at(self.outputs, config) if is_main() else None)

    def upload_outputs(self, config: ComponentConfig) -> None:
        """Uploads the outputs, the main one last, and deletes the copies here and what was kept until then (rank 0).

        Raises:
            UserError: A URI cannot be written.
        """
        if is_main():
            for key in sorted(self.outputs, key=lambda name: name == "output"):
                upload(getattr(config, key), self.outputs[key])
            for key in self.outputs:
                remove(getattr(config, key))
            if config.work_uri:
                delete(config.work_uri)


def _look_at(outputs: dict[str, str], config: ComponentConfig) -> Summary | None:
    uri = outputs.get("output")
    if uri and config.existing_output == "resume" and exists(uri):
        return earlier_result(identity_of(config), load_uploaded_summary(uri), uri)
    for key, place in outputs.items():
        if config.existing_output == "error":
            if not is_empty(place):
                raise not_empty(place)
            if getattr(config, key).exists():
                raise UserError(
                    f"an earlier run for {place} was not uploaded: set existing_output to 'resume' or 'overwrite'"
                )
        # All below a URI is replaced.
        elif not (exists(place) or is_empty(place) or has_unfinished_upload(place)):
            raise not_ours(place)
    return None


def _localize(kind: Any, value: Any, key: str, folder: Path, found: dict[Path, str]) -> Any:
    """Puts a path below `folder` in the place of each URI that `kind` takes for a path, and notes it in `found`.

    Paths themselves get the home folder in the place of `~`.
    """
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
        kinds = {name: field.annotation for name, field in kind.model_fields.items()}
        return {name: _localize(kinds.get(name), item, name, folder, found) for name, item in value.items()}
    if isinstance(value, list) and get_args(kind):
        return [_localize(get_args(kind)[0], item, key, folder, found) for item in value]
    if isinstance(value, str) and Path in (kind, *get_args(kind)):
        try:
            place = read_place(value)
        except UserError as error:
            raise UserError(f"'{key}': {error}") from error
        if not is_uri(value):
            return str(place)
        path = folder / short_hash(value)
        found[path] = value
        return str(path)
    return value


def _replace(value: Any, paths: dict[Path, Path]) -> Any:
    """The same value with other paths in it."""
    if isinstance(value, Path):
        return paths.get(value, value)
    if isinstance(value, tuple):
        return tuple(_replace(item, paths) for item in value)
    if isinstance(value, BaseModel):
        return value.model_copy(
            update={name: _replace(getattr(value, name), paths) for name in type(value).model_fields}
        )
    return value
