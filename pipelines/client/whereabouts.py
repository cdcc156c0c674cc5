"""The places among a pipeline's arguments: they must be here for a run here, and must not be for a run elsewhere."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.values import kind_of
from compaware.components.launch.options import JobOptions
from compaware.components.storage.places import PLACE
from compaware.components.storage.uri import is_uri, parse
from compaware.pipelines.client import catalog

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_FILE_ENDING = re.compile(r"\.(csv|tsv|txt|jsonl?|ndjson|parquet|arrow|xlsx?|zip|tar|gz|bz2|xz|zst)$", re.IGNORECASE)
# What stands for a value of the cluster's wherever it is written.
_EXPANDED = re.compile(r"\$\$|\$\(|\{\{")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|.*\\")


def with_local_places(model: type[BaseModel], written: dict[str, Any]) -> dict[str, Any]:
    """A configuration with `~` replaced, since no container knows the user's.

    Args:
        model: The types of its keys.
        written: The configuration as it was written.

    Raises:
        UserError: A path to read is not there.
    """

    def bring(key: str, place: str) -> str:
        path = parse(place) if place.startswith("file://") or not is_uri(place) else None
        may_be_the_hubs = _is_hub_id(place) or key == catalog.WRITTEN
        if isinstance(path, Path) and not may_be_the_hubs and not path.exists():
            raise UserError(f"'{key}' is {place}: there is no such file or folder")
        return str(path) if place.startswith("~") else place

    kinds = _kinds(model)
    return {name: _map_places(kinds[name], value, name, bring) for name, value in written.items()}


def require_in_cluster(model: type[BaseModel], written: dict[str, Any], options: JobOptions) -> None:
    """Refuses paths that a pod cannot see.

    Args:
        model: The types of a configuration's keys.
        written: The configuration as it was written.
        options: Their volumes are seen by the pods that train.

    Raises:
        UserError: A place is a path of this machine, or one that only this pod would see.
    """

    def look_at(key: str, place: str) -> str:
        path = _path_of_this_machine(place, key == catalog.WRITTEN)
        mounted = [folder.rstrip("/") for folder in options.volumes.values()]
        if path and not any(path == folder or path.startswith(f"{folder}/") for folder in mounted):
            raise UserError(
                f"'{key}' is {place}, a path of this machine, which pods cannot see: upload it and give its URI "
                "(s3, minio)" + (", or rename it here if you mean the hub's" if _is_hub_id(place) else "")
            )
        return place

    kinds = _kinds(model)
    for name, value in written.items():
        _map_places(kinds[name], value, name, look_at)
        for key, text in _texts(value, name):
            found = _EXPANDED.search(text)
            if found:
                raise UserError(f"'{key}' holds '{found[0]}', which Kubernetes or Argo would change: leave it out")


def _kinds(model: type[BaseModel]) -> dict[str, Any]:
    return {name: kind_of(field) for name, field in model.model_fields.items()}


def _path_of_this_machine(place: str, is_written: bool) -> str:
    """The path that a place is here; empty for URIs, ids of the hub, and paths that only an image may have."""
    if not place:
        return ""
    if is_uri(place) and not place.startswith("file://"):
        return ""
    path = str(parse(place))
    if is_written or place.startswith(("file://", "~", "./", "../")) or place in (".", "..") or _WINDOWS.match(place):
        return path
    if Path(path).exists() or (not place.startswith("/") and not _is_hub_id(place)):
        return path
    return ""


def _is_hub_id(place: str) -> bool:
    return bool(_HUB_ID.fullmatch(place)) and not _FILE_ENDING.search(place) and not place.startswith((".", "~"))


def _map_places(kind: Any, value: Any, key: str, change: Callable[[str, str], str]) -> Any:
    """A value with each place in it changed, wherever the type says that there is one."""
    if isinstance(value, str):
        return change(key, value) if _is_place(kind) else value
    if isinstance(value, list):
        return [_map_places(kind, item, f"{key}.{number}", change) for number, item in enumerate(value)]
    model = _model_in(kind)
    if isinstance(value, dict) and model:
        fields = model.model_fields
        return {
            name: _map_places(kind_of(fields[name]), item, f"{key}.{name}", change) if name in fields else item
            for name, item in value.items()
        }
    return value


def _is_place(kind: Any) -> bool:
    if get_origin(kind) is Annotated and PLACE in get_args(kind)[1:]:
        return True
    return any(_is_place(part) for part in get_args(kind))


def _model_in(kind: Any) -> type[BaseModel] | None:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next(filter(None, map(_model_in, get_args(kind))), None)


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, item in items:
        yield from _texts(item, f"{key}.{part}")
