"""Reads the class names that the `datasets` library stores with columns of class ids."""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.label_names import show_names

# Key of the schema metadata under which `datasets` describes a table in Parquet and Arrow files.
_METADATA_KEY = b"huggingface"
# Keys under which a column's description holds that of its list entries or class ids.
_INNER_KEYS = ("feature", "dtype", "list", "sequence", "large_list")


def class_names_from_schema(schema: pa.Schema) -> dict[str, list[str]]:
    """Reads the class names in the schema of a Parquet or Arrow file that `datasets` wrote.

    Returns:
        Names in the order of ids for each column of class ids, or of lists of them; empty if there are none.
    """
    try:
        features = json.loads((schema.metadata or {})[_METADATA_KEY])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    # The description may be that of an earlier column that was replaced.
    return {
        column: names
        for column, names in class_names_from_features(features).items()
        if column in schema.names and _holds_ids(schema.field(column).type)
    }


def class_names_from_features(features: Any) -> dict[str, list[str]]:
    """Reads the class names in a description of columns.

    Args:
        features: `features` of a dataset_info.json or of a Parquet file's metadata (columns by name), or of the
            `dataset_info` in a README's YAML header (a list of columns).

    Returns:
        Names in the order of ids for each column of class ids, or of lists of them.
    """
    if isinstance(features, list):
        features = {column.get("name"): column for column in features if isinstance(column, dict)}
    if not isinstance(features, dict):
        return {}
    class_names = {str(column): _names(feature) for column, feature in features.items()}
    return {column: names for column, names in class_names.items() if names}


def merge_class_names(sources: Iterable[tuple[str, dict[str, list[str]]]]) -> dict[str, list[str]]:
    """Merges the class names of several files or splits.

    Args:
        sources: The name for messages and the class names of each file or split.

    Raises:
        UserError: Two of them name the classes of a column differently, so that an id has two meanings.
    """
    merged: dict[str, list[str]] = {}
    for source, class_names in sources:
        for column, names in class_names.items():
            known = merged.setdefault(column, names)
            if known != names:
                raise UserError(
                    f"the class names of '{column}' differ: {source} has {show_names(names)}, another has "
                    f"{show_names(known)}: use the same names in all files"
                )
    return merged


def _names(feature: Any) -> list[str]:
    if isinstance(feature, list):
        return _names(feature[0]) if len(feature) == 1 else []
    if not isinstance(feature, dict):
        return []
    if feature.get("_type") == "ClassLabel" or "class_label" in feature:
        names = feature.get("class_label", feature).get("names") or []
        if isinstance(names, dict):
            names = [names[key] for key in sorted(names, key=int)]
        return [str(name) for name in names]
    return next((names for key in _INNER_KEYS if (names := _names(feature.get(key)))), [])


def _holds_ids(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    return pa.types.is_integer(kind)
