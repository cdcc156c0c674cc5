"""Configuration of a component: one typed object, read from a YAML or JSON file and `key=value` words."""

import difflib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compaware.components.core.errors import UserError

CONFIG_VARIABLE = "COMPAWARE_CONFIG"


class ComponentConfig(BaseModel):
    """What every component's configuration has: where the result goes, and what to do with an older one."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    output: Path = Field(description="Folder that the finished artifact is put in.")
    existing_output: Literal["error", "resume", "overwrite"] = Field(
        default="error",
        description="What to do when the output, or a half-done run towards it, is already there: stop with an error, "
        "go on from its last checkpoint (a finished one is left as it is), or start anew.",
    )
    work: Path | None = Field(
        default=None, description="Folder for checkpoints and half-written files; `OUTPUT.work` when not given."
    )
    work_uri: str | None = Field(
        default=None,
        description="URI (file, s3, minio) that checkpoints are kept at as well, so that other nodes can go on from "
        "them.",
    )


ConfigType = TypeVar("ConfigType", bound=BaseModel)


def load_config(config_class: type[ConfigType], file: Path | None, overrides: Sequence[str]) -> ConfigType:
    """Reads and validates a configuration; see `read_values`.

    Raises:
        UserError: The file cannot be read, a key is unknown, or a value has the wrong type or is out of range.
    """
    return validate(config_class, read_values(file, overrides))


def read_values(file: Path | None, overrides: Sequence[str]) -> dict[str, Any]:
    """Reads a configuration's values.

    Args:
        file: A YAML or JSON file with one mapping; when None, the mapping is in the variable COMPAWARE_CONFIG, if that
            is set.
        overrides: `key=value` words that replace the file's values; the value is read as YAML, a dot in the key
            reaches into a nested mapping.

    Raises:
        UserError: The file or a word cannot be read.
    """
    text = os.environ.get(CONFIG_VARIABLE, "")
    values = read_mapping(file) if file else _parse(text, CONFIG_VARIABLE, json.loads)
    for word in overrides:
        _override(values, word)
    return values


def read_mapping(file: Path) -> dict[str, Any]:
    """Reads a YAML or JSON file that holds one mapping.

    Raises:
        UserError: The file is missing, is not YAML or JSON, or is not a mapping.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the config file {file}: {error}") from error
    return _parse(text, f"the config file {file}", json.loads if file.suffix == ".json" else yaml.safe_load)


def _parse(text: str, what: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    try:
        values = parse(text) if text.strip() else None
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise UserError(f"{what} does not parse: {' '.join(str(error).split())}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"{what} must hold a mapping of keys to values, not a {type(values).__name__}")
    return values


def validate(config_class: type[ConfigType], values: dict[str, Any]) -> ConfigType:
    """Validates `values`, turning pydantic's errors into one line.

    Raises:
        UserError: Names the first offending key, what it got and what it accepts.
    """
    try:
        return config_class.model_validate(values)
    except ValidationError as error:
        lines = [_explain(config_class, details) for details in error.errors()]
        raise UserError("; ".join(lines)) from error


def parse_word(word: str) -> tuple[str, Any]:
    """Splits a `key=value` word; the value is read as YAML, so `[1, 2]`, `true` and `0.1` have their types.

    Raises:
        UserError: There is no `=`, no key, or the value is not YAML.
    """
    key, separator, text = word.partition("=")
    if not separator or not key:
        raise UserError(f"expected key=value, got '{word}'")
    try:
        value = yaml.safe_load(text)
        # YAML 1.1 reads 1e-4 as a word; people mean the number.
        return key, float(value) if isinstance(value, str) and _is_number(value) else value
    except yaml.YAMLError as error:
        raise UserError(f"the value of '{key}' is not YAML: {' '.join(str(error).split())}") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return any(character.isdigit() for character in text)


def _override(values: dict[str, Any], word: str) -> None:
    key, value = parse_word(word)
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise UserError(f"'{key}' reaches into '{parent}', which is not a mapping")
    values[last] = value


def _explain(config_class: type[BaseModel], details: Any) -> str:
    key = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        known = sorted(config_class.model_fields)
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "choose from " + ", ".join(known)
        return f"unknown key '{key}': {hint}"
    if details["type"] == "missing":
        return f"'{key}' is missing: {_describe(config_class, key)}"
    message = details["msg"].removeprefix("Value error, ")
    if not key:
        return message
    shown = json.dumps(details["input"], default=str)
    return f"'{key}' is {shown if len(shown) <= 80 else shown[:77] + '...'}: {message[0].lower()}{message[1:]}"


def _describe(config_class: type[BaseModel], key: str) -> str:
    field = config_class.model_fields.get(key)
    return (field.description if field else None) or "it has no default"
