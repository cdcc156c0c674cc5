"""Lists the pipelines and reads the parameters and tasks of their compiled specs; does not import KFP."""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import compaware.pipelines
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import suggest
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.launch.run import whole_numbers

ROOT = Path(compaware.pipelines.__file__).parent
SPEC_NAME = "pipeline.yaml"
# The parameter that names a place to write to; others that are paths are read.
WRITTEN = "publish_uri"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a pipeline.

    Attributes:
        name: Its key.
        kind: KFP's type, such as NUMBER_INTEGER.
        default: Its default; None means not given.
        description: What it does.
    """

    name: str
    kind: str
    default: Any
    description: str


def names() -> list[str]:
    """Names of all pipelines."""
    return sorted(file.parent.name for file in ROOT.glob("*/pipeline.py"))


def folder(name: str) -> Path:
    """A pipeline's folder.

    Raises:
        UserError: There is no such pipeline.
    """
    if name not in names():
        raise UserError(f"unknown pipeline '{name}': {suggest(name, names())}")
    return ROOT / name


def spec(name: str) -> dict[str, Any]:
    """A pipeline's compiled spec, as checked in.

    Raises:
        UserError: There is no such pipeline.
    """
    # The second document is for Kubernetes alone.
    return next(yaml.safe_load_all((folder(name) / SPEC_NAME).read_text(encoding="utf-8")))


def summary(name: str) -> str:
    """Returns a sentence that says what a pipeline does."""
    return spec(name)["pipelineInfo"]["description"]


def parameters(pipeline_spec: dict[str, Any]) -> dict[str, Parameter]:
    """Returns the parameters of a compiled pipeline in alphabetical order."""
    found = pipeline_spec["root"]["inputDefinitions"]["parameters"]
    return {
        name: Parameter(name, entry["parameterType"], _default(entry), entry.get("description", ""))
        for name, entry in found.items()
    }


def _default(entry: dict[str, Any]) -> Any:
    value = entry.get("defaultValue")
    return value if entry["parameterType"] == "NUMBER_DOUBLE" else whole_numbers(value)


def tasks(pipeline_spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the tasks of a compiled pipeline by name, in an order in which they can run, with those of loops."""
    return _tasks_of(pipeline_spec, pipeline_spec["root"])


def _tasks_of(pipeline_spec: dict[str, Any], component: dict[str, Any]) -> dict[str, dict[str, Any]]:
    waiting = dict(component["dag"]["tasks"])
    done: set[str] = set()
    ordered: dict[str, dict[str, Any]] = {}
    while waiting:
        ready = [name for name, task in waiting.items() if set(task.get("dependentTasks", [])) <= done]
        done.update(ready)
        for name in ready:
            task = waiting.pop(name)
            inner = pipeline_spec["components"][task["componentRef"]["name"]]
            ordered |= _tasks_of(pipeline_spec, inner) if "dag" in inner else {name: task}
    return ordered


def fed_by(pipeline_spec: dict[str, Any], task: dict[str, Any]) -> dict[str, str]:
    """Returns the component's parameters that the pipeline's parameters set: component name to pipeline name."""
    bindings = task.get("inputs", {}).get("parameters", {})
    # In a loop, KFP adds this prefix to the pipeline's parameters.
    sources = {
        theirs: binding.get("componentInputParameter", "").removeprefix("pipelinechannel--")
        for theirs, binding in bindings.items()
    }
    ours = pipeline_spec["root"]["inputDefinitions"]["parameters"]
    return {theirs: name for theirs, name in sources.items() if name in ours}


def component_of(task: dict[str, Any]) -> str:
    """Returns the name of the component that a task runs, such as `data_prep`."""
    return task["componentRef"]["name"].removeprefix("comp-").replace("-", "_")


def config_class(component: str) -> type[ComponentConfig] | None:
    """Returns the configuration class of a component, if it has one."""
    module = f"compaware.components.{component}.config"
    if importlib.util.find_spec(module) is None:
        return None
    name = "".join(part.title() for part in component.split("_")) + "Config"
    return getattr(importlib.import_module(module), name)
