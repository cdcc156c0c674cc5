"""Checks a pipeline's configuration before anything runs, so that mistakes are reported at once.

The checks are: unknown keys, types and ranges; then each component's configuration with the values that it would get,
which finds keys that exclude each other; then the paths in it.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from compaware.components import images
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import ERROR_TYPE, read_values, validate
from compaware.components.core.base.values import kind_of, plain_kind
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import JOB, MAIN, marker, merge_options
from compaware.components.core.stage.sample_defaults import SAMPLE, add_defaults
from compaware.components.launch.options import JobOptions
from compaware.components.storage.path_or_uri import AS_WRITTEN
from compaware.pipelines.client import catalog
from compaware.pipelines.client.forms import Form
from compaware.pipelines.client.paths import check_cluster_paths, resolve_local_paths
from compaware.pipelines.client.site import check_pods

# Names of the number of layers in configurations of transformers.
_LAYER_COUNTS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
Names = dict[tuple[str, str], str]


def load_arguments(
    spec: dict[str, Any], file: Path | None, words: Sequence[str], *, local: bool = True
) -> dict[str, Any]:
    """Reads and checks the arguments of a pipeline.

    Args:
        spec: The compiled pipeline.
        file: YAML or JSON file of parameters, or None.
        words: `key=value` words that replace the file's values.
        local: Whether the pipeline runs on this machine. Local paths must exist then, and must not be given otherwise.

    Returns:
        The parameters that were given, by name.

    Raises:
        UserError: One line that names the key and says what to change.
    """
    form = Form.of(spec)
    given = validate(form.written, read_values(form.written, file, words, rename=form.rename), {AS_WRITTEN: True})
    written = given.model_dump(mode="json", exclude_unset=True)
    arguments, names = form.fold(written)
    for name, entry in spec["root"]["inputDefinitions"]["parameters"].items():
        if not entry.get("isOptional") and name not in arguments:
            raise UserError(f"'{name}' is missing: {entry.get('description', 'it has no default')}")
    is_sample = arguments.get("task", SAMPLE) == SAMPLE and "data" not in arguments
    for task in catalog.tasks(spec).values():
        _check_component(spec, task, arguments, form, names, is_sample)
    options = validate(JobOptions, arguments.get(JOB, {}))
    check_pods(options.pods)
    _check_layers(arguments, is_sample)
    if local:
        return form.fold(resolve_local_paths(form.written, written))[0]
    images.check_image(options.image, "job.image")
    check_cluster_paths(form.written, written, options)
    return arguments


def _check_component(
    spec: dict[str, Any],
    task: dict[str, Any],
    arguments: dict[str, Any],
    form: Form,
    names: Names,
    is_sample: bool,
) -> None:
    component = catalog.component_of(task)
    config = catalog.config_class(component)
    if config is None:
        return
    ours = catalog.fed_by(spec, task)
    defaults = {parameter.name: parameter.default for parameter in catalog.parameters(spec).values()}
    values = {theirs: arguments.get(name, defaults[name]) for theirs, name in ours.items()}
    values = merge_options(config, config.shared, {key: value for key, value in values.items() if value is not None})
    values = {key: value for key, value in values.items() if key in config.model_fields}
    if is_sample:
        values = add_defaults(component, values)
    # Artifacts are folders that do not exist yet.
    artifacts = task.get("inputs", {}).get("artifacts", {})
    folders = {
        name: "artifact"
        for name, field in config.model_fields.items()
        if field.annotation is Path or (name in artifacts and plain_kind(kind_of(field))[0] is Path)
    }
    try:
        config.model_validate(folders | values)
    except ValidationError as error:
        shown = _shown_names(config, ours, form, names)
        lines = [_explain(details, shown) for details in error.errors() if not _comes_later(config, details)]
        if lines:
            raise UserError("; ".join(lines)) from error


def _comes_later(config: type[BaseModel], details: Any) -> bool:
    """Returns whether a missing value is one that another stage provides."""
    return details["type"] == "missing" and marker(config.model_fields[details["loc"][0]]) is not MAIN


def _shown_names(config: type[ComponentConfig], ours: dict[str, str], form: Form, names: Names) -> dict[str, str]:
    """Returns each field's name in a configuration of the pipeline: as written by the user, else the flat name."""
    shown = {theirs: name for theirs, name in ours.items() if theirs in config.model_fields}
    for name in ours.values():
        for key in form.kinds[name].model_fields if name in form.models else ():
            if key in config.model_fields:
                shown[key] = names.get((name, key)) or shown.get(key) or form.flat_name(name, key)
    return shown


def _check_layers(arguments: dict[str, Any], is_sample: bool) -> None:
    """Checks that the teacher has the layers to keep, if its configuration can be read here."""
    given = {**arguments.get("teacher_options", {}), "teacher": arguments.get("teacher")}
    given = add_defaults("teacher_check", given) if is_sample else given
    file = Path(str(given["teacher"])).expanduser() / "config.json"
    try:
        teacher = given.get("teacher_config") or json.loads(file.read_text(encoding="utf-8"))
    except (OSError, RuntimeError, ValueError):
        return
    if not isinstance(teacher, dict):
        return
    count = next((teacher[name] for name in _LAYER_COUNTS if isinstance(teacher.get(name), int)), None)
    for choice in [arguments, *arguments.get("students", [])]:
        layers = choice.get("student_layers")
        if count and layers and max(layers) >= count:
            raise UserError(f"student_layers {layers}: the teacher has {count} layers, 0 to {count - 1}")


def _explain(details: Any, shown: dict[str, str]) -> str:
    message = details["msg"].removeprefix("Value error, ")
    for theirs, name in shown.items():
        if "_" in theirs:
            message = re.sub(rf"\b{theirs}\b", name, message)
    if not details["loc"]:
        return message
    first, *rest = (str(part) for part in details["loc"])
    key = ".".join([shown.get(first, first), *rest])
    if details["type"] == "missing":
        return f"'{key}' is missing"
    if details["type"] == ERROR_TYPE:
        return f"'{key}': {message}"
    text = json.dumps(details["input"], default=str, ensure_ascii=False)
    return f"'{key}' is {text}: {message[0].lower()}{message[1:]}"
