"""Refuses outputs that would replace what the same command reads, where it runs, or what else it writes."""

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
    """Checks that a finished output and removed work take nothing else away.

    Args:
        config: A component's configuration.
        uris: What local paths in it stand for.

    Raises:
        UserError: An output or a work folder holds an input, another output, or the folder that the command runs in.
    """
    values = {name: getattr(config, name) for name in type(config).model_fields}
    places: dict[str, Path | str | None] = {**config.outputs(), "work": config.work, "work_uri": config.work_uri}
    written = {key: _place(place, uris) for key, place in places.items() if place}
    read = {key: value for key, value in values.items() if key not in places}
    inputs = [_place(path, uris) for path in _paths(read)]
    inputs += [_place(name, uris) for name in sources_of(read) if is_uri(name) or Path(name).exists()]
    for key, place in written.items():
        if _holds(place, Path.cwd()):
            raise UserError(f"'{key}' is {place}, where this command runs: choose another folder")
        for other, where in written.items():
            if other != key and _holds(place, where):
                raise UserError(f"'{other}' is in '{key}' ({place}), which replaces it: choose another folder")
        for source in inputs:
            if _holds(place, source):
                raise UserError(f"'{key}' ({place}) would replace the input {source}: choose another folder")


def _paths(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        yield from _paths([getattr(value, name) for name in type(value).model_fields])
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _paths(item)


def _place(value: Path | str, uris: dict[Path, str]) -> PurePath:
    location = parse(uris.get(value, str(value)) if isinstance(value, Path) else value)
    return location.resolve() if isinstance(location, Path) else PurePosixPath(location.shown)


def _holds(folder: PurePath, other: PurePath) -> bool:
    return folder == other or folder in other.parents
