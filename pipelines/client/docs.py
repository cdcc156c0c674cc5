"""Generates the READMEs of components and pipelines from their interfaces, so that both always agree.

A component's README comes from its KFP interface and docstring, its metadata.yaml and its typed configuration. A
pipeline's comes from its compiled spec, its metadata.yaml and its configs. The catalogues list all components and
pipelines. Two pages that are written by hand have a generated block between two comments: the diagram in the project's
README, and the table of model families in docs/models.md.
"""

import importlib
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import docstring_parser
from pydantic import BaseModel

import compaware.components
from compaware.components.core.models import families
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import JOB, OPTIONS, option_names
from compaware.components.core.stage.sample_defaults import DEFAULTS
from compaware.components.launch.options import JobOptions
from compaware.pipelines.client import catalog, diagram, pages
from compaware.pipelines.client.catalog import config_class
from compaware.pipelines.client.forms import Form
from compaware.pipelines.client.metadata import load_metadata

COMPONENTS = Path(compaware.components.__file__).parent
PROJECT = COMPONENTS.resolve().parent
DIAGRAM_OF = "distillation_then_quantization"
_KINDS = {
    "STRING": "text",
    "NUMBER_INTEGER": "integer",
    "NUMBER_DOUBLE": "number",
    "BOOLEAN": "true or false",
    "LIST": "list",
    "STRUCT": "mapping",
}
_PLACES = ("output", "existing_output", "work")


def readmes() -> dict[Path, str]:
    """Returns the expected content of each generated page."""
    components = {COMPONENTS / name / "README.md": component_readme(name) for name in component_names()}
    pipelines = {catalog.folder(name) / "README.md": pipeline_readme(name) for name in catalog.names()}
    catalogues = {
        COMPONENTS / "README.md": component_catalogue(),
        catalog.ROOT / "README.md": pipeline_catalogue(),
    }
    blocks = {
        PROJECT / "README.md": ("diagram", _diagram(DIAGRAM_OF)),
        PROJECT / "docs" / "models.md": ("families", families.support_table()),
    }
    by_hand = {file: with_block(file.read_text(encoding="utf-8"), *block) for file, block in blocks.items()}
    return components | pipelines | catalogues | by_hand


def with_block(text: str, name: str, content: str) -> str:
    """Returns a page with fresh content between the two comments that mark the generated block of this name."""
    begin, end = f"<!-- Begin {name}: written by `make docs`. -->", f"<!-- End {name}. -->"
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{content}\n\n{end}{rest.partition(end)[2]}"


def _diagram(pipeline: str) -> str:
    return f"```mermaid\n{diagram.flowchart(catalog.spec(pipeline))}\n```"


def component_names() -> list[str]:
    """Returns the names of the folders in `components/` that have a KFP component."""
    return sorted(file.parent.name for file in COMPONENTS.glob("*/component.py"))


def component_catalogue() -> str:
    """Returns the page that lists all components."""
    rows = []
    for name in component_names():
        component = _component(name)
        metadata = load_metadata(COMPONENTS / name)
        taken = [key for key, spec in (component.component_spec.inputs or {}).items() if "@" in str(spec.type)]
        rows.append(
            (
                f"[{name}]({name})",
                docstring_parser.parse(component.python_func.__doc__).short_description,
                ", ".join(taken),
                ", ".join(component.component_spec.outputs or {}),
                *pages.standing(metadata),
            )
        )
    headers = ("component", "what it does", "inputs", "outputs", "stability", "tags")
    return pages.page("Components", pages.table(headers, rows))


def pipeline_catalogue() -> str:
    """Returns the page that lists all pipelines."""
    headers = ("pipeline", "what it does", "stability", "tags")
    rows = (
        (
            f"[{name}]({name})",
            catalog.summary(name),
            *pages.standing(load_metadata(catalog.folder(name))),
        )
        for name in catalog.names()
    )
    return pages.page("Pipelines", pages.table(headers, rows))


def component_readme(name: str) -> str:
    """Returns the README of one component."""
    component, config = _component(name), config_class(name)
    signature = inspect.signature(component.python_func)
    specs = {**component.component_spec.inputs, **(component.component_spec.outputs or {})}
    artifacts = [key for key in specs if "@" in str(specs[key].type)]
    outputs = set(component.component_spec.outputs or {})
    parameters = [key for key in signature.parameters if key not in artifacts]
    texts = {item.arg_name: item.description for item in docstring_parser.parse(component.python_func.__doc__).params}
    return pages.page(
        name,
        pages.describe(component.python_func),
        *pages.section(
            "Artifacts",
            ("name", "direction", "type", "description"),
            [
                (
                    f"`{key}`",
                    "output" if key in outputs else "optional input" if specs[key].optional else "input",
                    str(specs[key].type).removeprefix("system.").partition("@")[0],
                    texts.get(key, ""),
                )
                for key in artifacts
            ],
        ),
        *pages.section(
            "Parameters",
            ("name", "type", "default", "description"),
            [
                (
                    f"`{key}`",
                    pages.type_cell(signature.parameters[key]),
                    pages.default_cell(signature.parameters[key].default),
                    texts.get(key),
                )
                for key in parameters
            ],
        ),
        *_options(config, parameters),
        *_on_the_sample(name),
        *_by_itself(name, config, parameters),
        pages.footer(load_metadata(COMPONENTS / name)),
    )


def _options(config: type[ComponentConfig] | None, parameters: list[str]) -> list[str]:
    """Returns the keys of the mappings `options` and `job`."""
    if config is None:
        return []
    tables = []
    if OPTIONS in parameters:
        tables += ["## Options", "Keys of `options`:", _keys(config, option_names(config))]
    if JOB in parameters:
        tables += ["## Job", "Keys of `job`:", _keys(JobOptions, list(JobOptions.model_fields))]
    return tables


def _on_the_sample(name: str) -> list[str]:
    """Returns the defaults that a component has on the built-in sample alone."""
    if name not in DEFAULTS:
        return []
    unless = ", ".join(f"`{key}`" for key in DEFAULTS[name].unless)
    values = ", ".join(f"`{key}` is `{value}`" for key, value in DEFAULTS[name].values.items())
    return [f"Defaults on the built-in sample{f', unless {unless} is given' if unless else ''}: {values}."]


def _keys(model: type[BaseModel], names: Iterable[str]) -> str:
    rows = ((f"`{key}`", *pages.field_cells(model.model_fields[key])) for key in names)
    return pages.table(("key", "default", "description"), rows)


def _by_itself(name: str, config: type[ComponentConfig] | None, parameters: list[str]) -> list[str]:
    """Returns how to run a component without KFP; nothing for a component without a configuration, which needs KFP."""
    if config is None:
        return []
    shown = {*parameters, *(option_names(config) if OPTIONS in parameters else ())}
    fields = sorted((key for key in config.model_fields if key not in shown), key=_places_last)
    above = "parameters and options above" if OPTIONS in parameters else "parameters above"
    return [
        "## Run it without KFP",
        f"```\n{_commands(name, config.interface.job)}\n```",
        f"`FILE` is YAML or JSON. Its keys are the {above} and:",
        _keys(config, fields),
    ]


def pipeline_readme(name: str) -> str:
    """Returns the README of one pipeline."""
    spec = catalog.spec(name)
    form = Form.of(spec)
    tasks = catalog.tasks(spec)
    users: dict[str, list[str]] = {}
    for task in tasks.values():
        for name_in_pipeline in catalog.fed_by(spec, task).values():
            users.setdefault(name_in_pipeline, []).append(catalog.component_of(task))
    links = [f"[{step}](../../components/{step})" for step in map(catalog.component_of, tasks.values())]
    return pages.page(
        name,
        spec["pipelineInfo"]["description"],
        _diagram(name),
        f"Components: {', '.join(links)}.",
        "## Run it",
        f"```\nmake run PIPELINE={name}\n"
        f"compaware run {name} --config pipelines/{name}/configs/sample.yaml --output runs/{name} key=value …\n```",
        "On Kubeflow, upload [pipeline.yaml](pipeline.yaml). See [Run on Kubeflow](../../docs/cluster.md).",
        "## Configs",
        pages.table(
            ("config", "use it for"),
            ((f"[{file.name}](configs/{file.name})", _first_line(file)) for file in _configs(name)),
        ),
        "## Parameters",
        pages.table(
            ("name", "type", "default", "description", "used by"),
            (
                (
                    f"`{parameter.name}`",
                    _KINDS[parameter.kind],
                    pages.default_cell(parameter.default),
                    _what(parameter, form),
                    ", ".join(users.get(parameter.name, [])),
                )
                for parameter in catalog.parameters(spec).values()
            ),
        ),
        pages.footer(load_metadata(catalog.folder(name))),
    )


def _what(parameter: catalog.Parameter, form: Form) -> str:
    """Returns a parameter's description; for a mapping, the flat names of its keys."""
    if parameter.name not in form.models:
        return parameter.description
    keys = ", ".join(f"`{form.flat_name(parameter.name, key)}`" for key in option_names(form.models[parameter.name]))
    return f"Settings of the component. In a config, you can also write each of them on its own: {keys}."


def _component(name: str) -> Any:
    return getattr(importlib.import_module(f"compaware.components.{name}.component"), name)


def _configs(pipeline: str) -> list[Path]:
    return sorted((catalog.folder(pipeline) / "configs").glob("*.yaml"))


def _first_line(config: Path) -> str:
    return config.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _commands(name: str, can_distribute: bool) -> str:
    command = f"-m compaware.components.{name} --config FILE key=value …"
    return f"python {command}" + (f"\ntorchrun --nproc-per-node 2 {command}" if can_distribute else "")


def _places_last(key: str) -> bool:
    return key in _PLACES
