"""Downloads a component's inputs before it runs, and uploads its outputs after it.

Any path in a component's configuration may be a URI (file, s3, minio). Outputs that a component uploaded are checked
against their manifest; artifacts that KFP uploaded have none.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import BaseModel

from compaware.components.core.base.distributed import call_on_main, is_main
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import remove
from compaware.components.core.base.hashing import short_hash
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import ConfigType
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.identity import identity_of
from compaware.components.core.stage.workspace import foreign_files_error, not_empty_error, reuse_result
from compaware.components.storage import (
    discard,
    exists,
    fetch,
    has_unfinished_upload,
    is_empty,
    is_uri,
    record_uri,
    upload,
)
from compaware.components.storage.path_or_uri import parse_path_or_uri
from compaware.components.storage.summaries import load_uploaded_summary


@dataclass(frozen=True)
class Transfers:
    """The URIs of one run.

    Attributes:
        values: The configuration with URIs replaced by local paths.
        uris: Local path to URI.
        inputs: Local path to URI, for inputs only.
        outputs: Key to URI, for `output` and the keys that end in `output`.
        cache: Download folder, shared by the processes of a node.
    """

    values: dict[str, Any]
    uris: dict[Path, str]
    inputs: dict[Path, str]
    outputs: dict[str, str]
    cache: Path

    @classmethod
    def plan(cls, config_class: type[ComponentConfig], values: dict[str, Any]) -> Self:
        """Replaces the URIs in a configuration by local paths; nothing is downloaded yet.

        Raises:
            UserError: A URI is invalid.
        """
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "compaware"
        uris: dict[Path, str] = {}
        local = _localize(config_class, values, "", root / "runs", uris)
        outputs = {key: value for key, value in values.items() if key.endswith("output") and is_uri(str(value))}
        for path, uri in uris.items():
            record_uri(path, uri)
        inputs = {path: uri for path, uri in uris.items() if uri not in outputs.values()}
        return cls(local, uris, inputs, outputs, root / "artifacts")

    def download_inputs(self, config: ConfigType) -> ConfigType:
        """Downloads the inputs and returns the configuration with their paths.

        Args:
            config: The validated `values`.

        Raises:
            UserError: An input does not exist, is corrupt, or cannot be accessed.
        """
        return _replace(config, {path: fetch(uri, self.cache) for path, uri in self.inputs.items()})

    def finished_summary(self, config: ComponentConfig) -> Summary | None:
        """Returns the summary of an earlier run that has uploaded this output, on all ranks; None without one.

        Raises:
            UserError: The output has other settings or inputs, or other files are at its URI.
        """
        return call_on_main(_check_outputs, self.outputs, config)

    def upload_outputs(self, config: ComponentConfig) -> None:
        """Uploads the outputs, the main one last, then deletes the local copies and `work_uri` (on rank 0).

        Raises:
            UserError: A URI cannot be written.
        """
        if is_main():
            for key in sorted(self.outputs, key=lambda name: name == "output"):
                upload(getattr(config, key), self.outputs[key])
            for key in self.outputs:
                remove(getattr(config, key))
            if config.work_uri:
                discard(config.work_uri)


def _check_outputs(outputs: dict[str, str], config: ComponentConfig) -> Summary | None:
    main_uri = outputs.get("output")
    if main_uri and config.existing_output == "resume" and exists(main_uri):
        return reuse_result(identity_of(config), load_uploaded_summary(main_uri), main_uri)
    for key, uri in outputs.items():
        if config.existing_output == "error":
            if not is_empty(uri):
                raise not_empty_error(uri)
            if getattr(config, key).exists():
                raise UserError(
                    f"an earlier run for {uri} was not uploaded: set existing_output to 'resume' or 'overwrite'"
                )
        # An upload replaces everything below its URI.
        elif not (exists(uri) or is_empty(uri) or has_unfinished_upload(uri)):
            raise foreign_files_error(uri)
    return None


def _localize(kind: Any, value: Any, key: str, folder: Path, uris: dict[Path, str]) -> Any:
    """Replaces each URI in a path field by a path below `folder`, and adds it to `uris`; expands `~` in paths."""
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, BaseModel):
        kinds = {name: field.annotation for name, field in kind.model_fields.items()}
        return {name: _localize(kinds.get(name), item, name, folder, uris) for name, item in value.items()}
    if isinstance(value, list) and get_args(kind):
        return [_localize(get_args(kind)[0], item, key, folder, uris) for item in value]
    if isinstance(value, str) and Path in (kind, *get_args(kind)):
        try:
            location = parse_path_or_uri(value)
        except UserError as error:
            raise UserError(f"'{key}': {error}") from error
        if not is_uri(value):
            return str(location)
        path = folder / short_hash(value)
        uris[path] = value
        return str(path)
    return value


def _replace(value: Any, paths: dict[Path, Path]) -> Any:
    """Returns a copy of a value with its paths replaced."""
    if isinstance(value, Path):
        return paths.get(value, value)
    if isinstance(value, tuple):
        return tuple(_replace(item, paths) for item in value)
    if isinstance(value, BaseModel):
        return value.model_copy(
            update={name: _replace(getattr(value, name), paths) for name in type(value).model_fields}
        )
    return value
