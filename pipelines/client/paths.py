"""Checks paths in a pipeline's arguments: a local run needs existing paths, and a cluster cannot read local paths."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.values import kind_of
from compaware.components.launch.options import JobOptions
from compaware.components.storage.path_or_uri import PATH_OR_URI
from compaware.components.storage.uri import is_uri, parse
from compaware.pipelines.client import catalog

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_FILE_ENDING = re.compile(r"\.(csv|tsv|txt|jsonl?|ndjson|parquet|arrow|xlsx?|zip|tar|gz|bz2|xz|zst)$", re.IGNORECASE)
# Text that Kubernetes or Argo would expand.
_EXPANDED = re.compile(r"\$\$|\$\(|\{\{")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|.*\\")


def resolve_local_paths(model: type[BaseModel], written: dict[str, Any]) -> dict[str, Any]:
    """Returns a configuration with `~` expanded, since containers have another home folder.

    Args:
        model: Model with the types of the keys.
        written: The configuration as the user wrote it.

    Raises:
        UserError: A path to read does not exist.
    """

    def expand(key: str, place: str) -> str:
        path = parse(place) if place.startswith("file://") or not is_uri(place) else None
        may_be_missing = _is_hub_id(place) or key == catalog.WRITTEN
        if isinstance(path, Path) and not may_be_missing and not path.exists():
            raise UserError(f"'{key}' is {place}: there is no such file or folder")
        return str(path) if place.startswith("~") else place

    kinds = _kinds(model)
    return {name: _map_places(kinds[name], value, name, expand) for name, value in written.items()}


def check_cluster_paths(model: type[BaseModel], written: dict[str, Any], options: JobOptions) -> None:
    """Refuses local paths, which are not the same in pods, and texts that the cluster would expand.

    Args:
        model: Model with the types of the keys.
        written: The configuration as the user wrote it.
        options: Options of the training job; its pods can read their volumes.

    Raises:
        UserError: A value is a local path or contains text that Kubernetes or Argo would expand.
    """

    def check(key: str, place: str) -> str:
        path = _local_path(place, key == catalog.WRITTEN)
        mounted = [folder.rstrip("/") for folder in options.volumes.values()]
        if path and not any(path == folder or path.startswith(f"{folder}/") for folder in mounted):
            if key == catalog.WRITTEN:
                raise UserError(
                    f"'{key}' is {place}, a local path, which would be lost with its pod: use s3:// or minio://"
                )
            raise UserError(
                f"'{key}' is {place}, a local path, which pods cannot read: upload it and use its URI (s3, minio)"
                + (", or rename the local path if you mean the hub id" if _is_hub_id(place) else "")
            )
        return place

    kinds = _kinds(model)
    for name, value in written.items():
        _map_places(kinds[name], value, name, check)
        for key, text in _texts(value, name):
            if match := _EXPANDED.search(text):
                raise UserError(f"'{key}' contains '{match[0]}', which Kubernetes or Argo would expand: remove it")


def _kinds(model: type[BaseModel]) -> dict[str, Any]:
    return {name: kind_of(field) for name, field in model.model_fields.items()}


def _local_path(place: str, is_written: bool) -> str:
    """Returns the local path; empty for URIs, hub ids, and absolute paths that may exist only in an image."""
    if not place:
        return ""
    if is_uri(place) and not place.startswith("file://"):
        return ""
    path = str(parse(place))
    if (
        is_written
        or place.startswith(("file://", "~", "./", "../"))
        or place in (".", "..")
        or _WINDOWS_PATH.match(place)
    ):
        return path
    if Path(path).exists() or (not place.startswith("/") and not _is_hub_id(place)):
        return path
    return ""


def _is_hub_id(place: str) -> bool:
    return bool(_HUB_ID.fullmatch(place)) and not _FILE_ENDING.search(place) and not place.startswith((".", "~"))


def _map_places(kind: Any, value: Any, key: str, change: Callable[[str, str], str]) -> Any:
    """Returns a value in which `change` has replaced each string of type `PathOrUri`."""
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
    if get_origin(kind) is Annotated and PATH_OR_URI in get_args(kind)[1:]:
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
