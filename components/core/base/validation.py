"""Loads configurations from YAML or JSON files and `key=value` words; errors are one line."""

import difflib
import json
import os
import textwrap
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.values import kind_at, plain_kind, read_json, read_word, read_yaml, typed

# pydantic's error type of values that messages do not show, because a URI may contain a password.
ERROR_TYPE = "location"

CONFIG_VARIABLE = "COMPAWARE_CONFIG"
_HINT_CHARACTERS = 200
ConfigType = TypeVar("ConfigType", bound=BaseModel)


def load_config(config_class: type[ConfigType], file: Path | None, overrides: Sequence[str]) -> ConfigType:
    """Loads and validates a configuration; see `read_values`.

    Raises:
        UserError: The file cannot be read, a key is unknown, or a value has the wrong type or is out of range.
    """
    return validate(config_class, read_values(config_class, file, overrides))


def read_values(
    config_class: type[BaseModel],
    file: Path | None,
    overrides: Sequence[str],
    rearrange: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    rename: Callable[[dict[str, Any], list[str], Any], None] | None = None,
) -> dict[str, Any]:
    """Reads a configuration's values; text fields keep the text as written, including `1.0`, `no` and `#1`.

    Args:
        config_class: The types of its fields determine how scalars are read.
        file: A YAML or JSON file with one mapping; if None, the mapping is read from the variable COMPAWARE_CONFIG, if
            it is set.
        overrides: `key=value` words that replace the file's values; see `values.read_word`. A dotted key addresses a
            nested mapping.
        rearrange: Moves values to the fields that take them, before the fields' types determine how they are read.
        rename: Called before each word is applied, with the values so far, the word's key and its value. Renames what
            the word replaces, if a key has several names.

    Raises:
        UserError: The file or a word cannot be read.
    """
    if file:
        values = _read_mapping(file)
    else:
        text = os.environ.get(CONFIG_VARIABLE, "")
        values = _mapping(read_json(text, CONFIG_VARIABLE) if text.strip() else {}, CONFIG_VARIABLE)
    for word in overrides:
        _override(config_class, values, word, rename)
    if rearrange:
        values = rearrange(values)
    return cast(dict[str, Any], typed(values, config_class))


def _read_mapping(file: Path) -> dict[str, Any]:
    source = f"the config file {file}"
    try:
        text = file.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {source}: {error}") from error
    if not text.strip():
        return {}
    return _mapping(read_json(text, source) if file.suffix == ".json" else read_yaml(text, source), source)


def _mapping(value: Any, source: str) -> dict[str, Any]:
    if isinstance(value, str) and value in ("", "null", "~"):
        return {}
    if not isinstance(value, dict):
        raise UserError(
            f"{source} must contain a mapping of keys to values, not a {'list' if isinstance(value, list) else 'word'}"
        )
    return value


def validate(
    config_class: type[ConfigType], values: dict[str, Any], context: dict[str, Any] | None = None
) -> ConfigType:
    """Validates `values`.

    Args:
        config_class: The model.
        values: The values.
        context: Context for the validators of its fields, such as that of `storage.path_or_uri`.

    Raises:
        UserError: A value is invalid; the message has one line and names every invalid key.
    """
    try:
        return config_class.model_validate(values, context=context)
    except ValidationError as error:
        lines = [_explain(config_class, details) for details in error.errors()]
        raise UserError("; ".join(lines)) from error


def _override(
    config_class: type[BaseModel],
    values: dict[str, Any],
    word: str,
    rename: Callable[[dict[str, Any], list[str], Any], None] | None,
) -> None:
    key, separator, text = word.partition("=")
    if not separator or not key:
        raise UserError(f"expected key=value, got '{word}'")
    *parents, last = key.split(".")
    value = read_word(text, kind_at(config_class, [*parents, last]), key)
    if rename:
        rename(values, [*parents, last], value)
    for parent in parents:
        if values.get(parent) in ("", "null", "~"):
            del values[parent]
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise UserError(f"cannot set '{key}': '{parent}' is not a mapping")
    values[last] = value


def _explain(config_class: type[BaseModel], details: Any) -> str:
    key = ".".join(str(part) for part in details["loc"] if part != "[key]")
    if details["type"] == "extra_forbidden":
        return f"unknown key '{key}': {_hint_keys(config_class, key)}"
    if details["type"] == "missing":
        return f"'{key}' is missing: {_describe(config_class, key)}"
    message = details["msg"].removeprefix("Value error, ")
    if not key or details["type"] == ERROR_TYPE:
        return f"'{key}': {message}" if key else message
    if details["type"] == "string_type":
        message += ", which may need quotes"
    if details["type"] == "model_type":  # pydantic's message names the class.
        message = "input should be a mapping of keys to values"
    if details["type"] == "tuple_type":
        message = "input should be a list"
    shown = json.dumps(details["input"], default=str, ensure_ascii=False)
    return f"'{key}' is {shown if len(shown) <= 80 else shown[:77] + '...'}: {message[0].lower()}{message[1:]}"


def _hint_keys(config_class: type[BaseModel], key: str) -> str:
    """Suggests keys of the same name elsewhere, else the key with the closest spelling, else lists the known keys."""
    keys = _keys(config_class)
    parent, dot, name = key.rpartition(".")
    holder = ".".join(part for part in parent.split(".") if not part.isdigit())  # Without the index of a list's item.
    siblings = [known.rpartition(".")[2] for known in keys if fnmatchcase(holder, known.rpartition(".")[0])]
    same = [known for known in keys if known.rpartition(".")[2] == name]
    return f"did you mean {' or '.join(map(repr, same[:3]))}?" if same else suggest(name, siblings, parent + dot)


def suggest(name: str, known: Sequence[str], prefix: str = "") -> str:
    """Suggests the known name with the closest spelling, written with `prefix`, else lists the known names."""
    if close := difflib.get_close_matches(name, known, n=1):
        return f"did you mean '{prefix}{close[0]}'?"
    return "choose from " + textwrap.shorten(", ".join(known), _HINT_CHARACTERS, placeholder=" …")


def _keys(model: type[BaseModel]) -> list[str]:
    """Returns all keys of a model, with dotted keys for nested models; `*` is any key of a mapping."""
    keys = sorted(model.model_fields)
    for name, field in model.model_fields.items():
        plain, *parts = plain_kind(field.annotation)
        is_mapping = plain is dict and len(parts) > 1
        item = parts[1] if is_mapping else next(iter(parts), None)
        if isinstance(item, type) and issubclass(item, BaseModel):
            keys += [f"{name}.*.{inner}" if is_mapping else f"{name}.{inner}" for inner in _keys(item)]
    return keys


def _describe(config_class: type[BaseModel], key: str) -> str:
    field = config_class.model_fields.get(key)
    return (field.description if field else None) or "it has no default"
