"""Checks a pipeline's configuration before anything runs, so that a mistake is answered in the first second.

First the pipeline's own parameters (unknown keys, types), then each component's typed configuration with the values
that it would get (ranges, choices, keys that go together), then local paths.
"""

import importlib
import importlib.util
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from compaware.components.core.config import load_config, validate
from compaware.components.core.errors import UserError
from compaware.components.launch.options import JobOptions
from compaware.pipelines.client import catalog

_PYTHON_TYPES: dict[str, Any] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": bool,
    "LIST": list[Any],
    "STRUCT": dict[str, Any],
}


def load_arguments(
    spec: dict[str, Any], file: Path | None, words: Sequence[str], *, local: bool = True
) -> dict[str, Any]:
    """Reads and checks the arguments of a pipeline.

    Args:
        spec: The compiled pipeline.
        file: YAML or JSON file of parameters, or None.
        words: `key=value` words that replace the file's values.
        local: Whether the pipeline runs here, so that local paths must be there.

    Returns:
        The parameters that were given, by name.

    Raises:
        UserError: One line that names the key and says what to change.
    """
    model = _pipeline_model(spec)
    given = load_config(model, file, [_quoted(word, model) for word in words])
    arguments = {name: value for name, value in given.model_dump(exclude_unset=True).items() if value is not None}
    for name, value in arguments.items():
        _refuse_nulls(name, value)
    for name, entry in spec["root"]["inputDefinitions"]["parameters"].items():
        if not entry.get("isOptional") and name not in arguments:
            raise UserError(f"'{name}' is missing: {entry.get('description', 'it has no default')}")
    for task in catalog.tasks(spec).values():
        _check_component(spec, task, arguments)
    job = {name: arguments[name] for name in JobOptions.model_fields if name in arguments}
    validate(JobOptions, job | arguments.get("job_options", {}))
    return _with_local_paths(spec, arguments) if local else arguments


def _pipeline_model(spec: dict[str, Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        parameter.name: (_PYTHON_TYPES[parameter.kind] | None, Field(None, description=parameter.description))
        for parameter in catalog.parameters(spec).values()
    }
    return create_model("PipelineParameters", __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields)


def _quoted(word: str, model: type[BaseModel]) -> str:
    """Keeps YAML from reading a text parameter's `2:4` or `1` as a number."""
    key, separator, text = word.partition("=")
    field = model.model_fields.get(key)
    is_text = field is not None and field.annotation == str | None
    return f"{key}={json.dumps(text)}" if separator and is_text and text != "null" else word


def _refuse_nulls(key: str, value: Any) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, item in items:
        if item is None:
            raise UserError(f"'{key}.{part}' is null, which KFP cannot pass on: leave the key out")
        _refuse_nulls(f"{key}.{part}", item)


def _check_component(spec: dict[str, Any], task: dict[str, Any], arguments: dict[str, Any]) -> None:
    config = config_class(catalog.component_of(task))
    if config is None:
        return
    defaults = {parameter.name: parameter.default for parameter in catalog.parameters(spec).values()}
    ours = catalog.fed_by(spec, task)
    values = {theirs: arguments.get(name, defaults[name]) for theirs, name in ours.items()}
    values = {key: value for key, value in values.items() if value is not None and key in config.model_fields}
    # Artifacts are folders that do not exist yet.
    folders = {name: "artifact" for name, field in config.model_fields.items() if field.annotation is Path}
    try:
        config.model_validate(folders | values)
    except ValidationError as error:
        lines = [_explain(details, ours) for details in error.errors() if details["type"] != "missing"]
        if lines:
            raise UserError("; ".join(lines)) from error


def config_class(component: str) -> type[BaseModel] | None:
    """The typed configuration of a component, if it has one."""
    module = f"compaware.components.{component}.config"
    if importlib.util.find_spec(module) is None:
        return None
    name = "".join(part.title() for part in component.split("_")) + "Config"
    return getattr(importlib.import_module(module), name)


def _explain(details: Any, ours: dict[str, str]) -> str:
    message = details["msg"].removeprefix("Value error, ")
    for theirs, name in ours.items():
        if "_" in theirs:
            message = re.sub(rf"\b{theirs}\b", name, message)
    if not details["loc"]:
        return message
    first, *rest = (str(part) for part in details["loc"])
    key = ".".join([ours.get(first, first), *rest])
    return f"'{key}' is {json.dumps(details['input'], default=str)}: {message[0].lower()}{message[1:]}"


def _with_local_paths(spec: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with `~` replaced, since not every component and no container knows the user's."""
    paths = {
        name: Path(value).expanduser()
        for name, value in arguments.items()
        if catalog.parameters(spec)[name].kind == "STRING" and value.startswith(("/", "./", "../", "~"))
    }
    for name, path in paths.items():
        if name != catalog.WRITTEN and not path.exists():
            raise UserError(f"'{name}' is {arguments[name]}: there is no such file or folder")
    return arguments | {name: str(path) for name, path in paths.items() if arguments[name].startswith("~")}
