"""Checks a pipeline's configuration before anything runs, so that a mistake is answered in the first second.

First the pipeline's own parameters (unknown keys, types), then each component's typed configuration with the values
that it would get (ranges, choices, keys that go together), then the places that it names.
"""

import importlib
import importlib.util
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import ERROR_TYPE, read_values, validate
from compaware.components.core.base.values import kind_of
from compaware.components.launch.options import JobOptions
from compaware.pipelines.client import catalog
from compaware.pipelines.client.whereabouts import require_in_cluster, with_local_places

_PYTHON_TYPES: dict[str, Any] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": bool,
    "LIST": list[Any],
    "STRUCT": dict[str, Any],
}
_JOB_OPTIONS = "job_options"
# As configurations of transformers name it.
_LAYER_COUNTS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")


def load_arguments(
    spec: dict[str, Any], file: Path | None, words: Sequence[str], *, local: bool = True
) -> dict[str, Any]:
    """Reads and checks the arguments of a pipeline.

    Args:
        spec: The compiled pipeline.
        file: YAML or JSON file of parameters, or None.
        words: `key=value` words that replace the file's values.
        local: Whether the pipeline runs here, so that local paths must be there; else none may be given.

    Returns:
        The parameters that were given, by name.

    Raises:
        UserError: One line that names the key and says what to change.
    """
    kinds = _kinds(spec)
    # A parameter that is null is one that is not given.
    written = _model({name: kind | None for name, kind in kinds.items()}, spec)
    sent = _model({name: kind | None for name, kind in _kfp_kinds(spec).items()}, spec)
    given = validate(sent, read_values(written, file, words))
    arguments = {name: value for name, value in given.model_dump(exclude_unset=True).items() if value is not None}
    for name, entry in spec["root"]["inputDefinitions"]["parameters"].items():
        if not entry.get("isOptional") and name not in arguments:
            raise UserError(f"'{name}' is missing: {entry.get('description', 'it has no default')}")
    for task in catalog.tasks(spec).values():
        _check_component(spec, task, arguments)
    job = {name: arguments[name] for name in JobOptions.model_fields if name in arguments}
    options = validate(JobOptions, job | arguments.get(_JOB_OPTIONS, {}))
    _check_layers(arguments)
    if local:
        return with_local_places(kinds, arguments)
    require_in_cluster(kinds, arguments, options)
    return arguments


def _kinds(spec: dict[str, Any]) -> dict[str, Any]:
    """The type of each parameter as the component declares it that gets its value: KFP's own say too little."""
    kinds = _kfp_kinds(spec) | {name: kind_of(field) for name, field in JobOptions.model_fields.items()}
    kinds[_JOB_OPTIONS] = JobOptions
    for task in catalog.tasks(spec).values():
        config = config_class(catalog.component_of(task))
        for theirs, name in catalog.fed_by(spec, task).items():
            if config is not None and theirs in config.model_fields:
                kinds[name] = kind_of(config.model_fields[theirs])
    return {name: kind for name, kind in kinds.items() if name in catalog.parameters(spec)}


def _kfp_kinds(spec: dict[str, Any]) -> dict[str, Any]:
    return {parameter.name: _PYTHON_TYPES[parameter.kind] for parameter in catalog.parameters(spec).values()}


def _model(kinds: dict[str, Any], spec: dict[str, Any]) -> type[BaseModel]:
    parameters = catalog.parameters(spec)
    fields: dict[str, Any] = {
        name: (kind, Field(None, description=parameters[name].description)) for name, kind in kinds.items()
    }
    return create_model("PipelineParameters", __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields)


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


def _check_layers(arguments: dict[str, Any]) -> None:
    """Compares the layers to keep with those of the teacher, where its configuration is known here."""
    file = Path(str(arguments.get("teacher"))).expanduser() / "config.json"
    try:
        teacher = arguments.get("teacher_config") or json.loads(file.read_text(encoding="utf-8"))
    except (OSError, RuntimeError, ValueError):
        return
    if not isinstance(teacher, dict):
        return
    count = next((teacher[name] for name in _LAYER_COUNTS if isinstance(teacher.get(name), int)), None)
    for choice in [arguments, *arguments.get("students", [])]:
        layers = choice.get("student_layers")
        if count and layers and max(layers) >= count:
            raise UserError(f"student_layers {layers}: the teacher has {count} layers, 0 to {count - 1}")


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
    if details["type"] == ERROR_TYPE:
        return f"'{key}': {message}"
    shown = json.dumps(details["input"], default=str, ensure_ascii=False)
    return f"'{key}' is {shown}: {message[0].lower()}{message[1:]}"
