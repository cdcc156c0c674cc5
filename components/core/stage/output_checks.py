"""Checks that an output does not contain an input, another output, or the current folder."""

from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from pydantic import BaseModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.identity import sources_of
from compaware.components.storage import is_uri
from compaware.components.storage.uri import parse


def require_separate_outputs(config: ComponentConfig, uris: dict[Path, str]) -> None:
    """Checks that writing the outputs and deleting the work folder deletes nothing else.

    Args:
        config: A component's configuration.
        uris: The URIs of local paths in it.

    Raises:
        UserError: An output or a work folder contains an input, another output, or the current folder.
    """
    values = {name: getattr(config, name) for name in type(config).model_fields}
    targets: dict[str, Path | str | None] = {**config.outputs(), "work": config.work, "work_uri": config.work_uri}
    written = {key: _absolute(target, uris) for key, target in targets.items() if target}
    read = {key: value for key, value in values.items() if key not in targets}
    inputs = [_absolute(path, uris) for path in _paths(read)]
    inputs += [_absolute(name, uris) for name in sources_of(read) if is_uri(name) or Path(name).exists()]
    for key, path in written.items():
        if _contains(path, Path.cwd()):
            raise UserError(f"'{key}' ({path}) contains the current folder: choose another folder")
        for other_key, other_path in written.items():
            if other_key != key and _contains(path, other_path):
                raise UserError(f"'{other_key}' is in '{key}' ({path}), which replaces it: choose another folder")
        for source in inputs:
            if _contains(path, source):
                raise UserError(f"'{key}' ({path}) would replace the input {source}: choose another folder")


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        yield from _paths([getattr(value, name) for name in type(value).model_fields])
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _paths(item)


def _absolute(value: Path | str, uris: dict[Path, str]) -> PurePath:
    location = parse(uris.get(value, str(value)) if isinstance(value, Path) else value)
    return location.resolve() if isinstance(location, Path) else PurePosixPath(location.shown)


def _contains(folder: PurePath, other: PurePath) -> bool:
    return folder == other or folder in other.parents
