"""Writes each component's component.py, its KFP interface, from its configuration class."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import docstring_parser
from pydantic import BaseModel

import compaware.components
from compaware.components.core.base.values import kind_of, plain_kind
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import (
    GIVEN,
    JOB,
    MAIN,
    OPTIONS,
    OUTPUT_URI,
    Input,
    Output,
    empty_value,
    marker,
    option_names,
)
from compaware.components.task_config import PARAMETER
from compaware.pipelines.client.catalog import config_class

COMPONENTS = Path(compaware.components.__file__).parent
FILE_NAME = "component.py"
_NOTE = "# Generated from config.py by `make compile`: change that, not this file."
_TYPES = {str: "str", Path: "str", int: "int", float: "float", bool: "bool"}
# Of a line of the docstring, without the function's own indent.
_WIDTH = 116


def interface_files() -> dict[Path, str]:
    """Returns the content of each generated component.py."""
    # Every component has metadata; notify has no configuration, and its interface is written by hand.
    names = sorted(file.parent.name for file in COMPONENTS.glob("*/metadata.yaml"))
    configs = {name: config for name in names if (config := config_class(name))}
    return {COMPONENTS / name / FILE_NAME: component_source(name, config) for name, config in configs.items()}


def component_source(name: str, config: type[ComponentConfig]) -> str:
    """The source of one component.py.

    Args:
        name: The component's folder name.
        config: Its configuration class.
    """
    body = "\n".join((*_docstring(config), *_body(name, config)))
    signature = "\n".join(f"    {parameter}," for parameter in _parameters(config))
    returns = config.interface.returns[1] if config.interface.returns else "None"
    function = (
        f"@dsl.component({_decorated(config)})\n"
        f"def {name}(\n{signature}\n) -> {returns}:\n{textwrap.indent(body, '    ', lambda line: bool(line.strip()))}\n"
    )
    passed = "from compaware.components import task_config as passed\n" if _passes(config) else ""
    typing = "from typing import List\n\n" if "List[" in function else ""
    return (
        f'"""KFP interface of {name}."""\n\n{_NOTE}\n\n{typing}from kfp import dsl\n\n'
        f"from compaware.components import images\n{passed}\n\n{function}"
    )


def _decorated(config: type[ComponentConfig]) -> str:
    arguments = f"base_image=images.{config.interface.image}, install_kfp_package=False"
    return f"{arguments}, task_config_passthroughs=passed.PASSTHROUGHS" if _passes(config) else arguments


def _passes(config: type[ComponentConfig]) -> bool:
    """Whether KFP passes settings of the task on to its job; a component with a field `job` starts several jobs."""
    return config.interface.job and JOB not in config.model_fields


def options_description(config: type[ComponentConfig]) -> str:
    """Returns the description of a component's parameter `options`."""
    return f"Further configuration: {', '.join(option_names(config))}."


def parameters(config: type[ComponentConfig]) -> dict[str, str]:
    """Returns the parameters other than artifacts, with their descriptions, in the order of the signature."""
    fields = config.model_fields
    own = {OPTIONS: options_description(config)} if option_names(config) and not _only_shared(config) else {}
    replaced = f" `{OPTIONS}` replace them." if own else ""
    given = {key: fields[key].description or "" for key in fields if marker(fields[key]) is GIVEN}
    main = {key: fields[key].description or "" for key in fields if marker(fields[key]) is MAIN}
    shared = {
        key: f"Options that other stages share: {', '.join(option_names(model))}.{replaced}"
        for key, model in config.shared.items()
    }
    job = {JOB: "How the training is launched: JobOptions of components/launch."} if config.interface.job else {}
    return given | main | shared | own | job


def _only_shared(config: type[ComponentConfig]) -> bool:
    """Returns whether the shared mappings have all keys that a component takes."""
    shared = {key for model in config.shared.values() for key in option_names(model)}
    return set(option_names(config)) <= shared


def inputs(config: type[ComponentConfig]) -> dict[str, Input]:
    """Returns the input artifacts."""
    marked = {key: marker(field) for key, field in config.model_fields.items()}
    return {key: found for key, found in marked.items() if isinstance(found, Input)}


def _parameters(config: type[ComponentConfig]) -> Iterator[str]:
    optional = []
    for key, artifact in inputs(config).items():
        plain, *_ = plain_kind(kind_of(config.model_fields[key]))
        kind = f"dsl.{artifact.type}"
        kind = f"{key}: dsl.Input[{f'List[{kind}]' if plain in (list, tuple) else kind}]"
        if config.model_fields[key].is_required():
            yield kind
        else:
            optional.append(f"{kind} = None")
    for key, output in config.interface.outputs.items():
        yield f"{key}: dsl.Output[dsl.{output.type}]"
    for key in parameters(config):
        field = config.model_fields.get(key)
        if field is not None and field.is_required() and marker(field) is GIVEN:
            yield f"{key}: {_annotation(kind_of(field))}"
        else:
            optional.append(f"{key}: {_optional(field) if field else 'dict = {}'}")
    yield from optional
    if _passes(config):
        yield f"{PARAMETER}: dsl.TaskConfig = None"


def _optional(field: Any) -> str:
    """Annotation and default; an empty default stands for None, which sub-DAGs of KFP do not accept."""
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    default = default.model_dump(exclude_unset=True) if isinstance(default, BaseModel) else default
    annotation = _annotation(kind_of(field))
    if default is None:
        return f"{annotation} = {_literal(empty_value(kind_of(field)))}"
    value = list(default) if isinstance(default, tuple) else default
    return f"{annotation} = {_literal(value)}"


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _annotation(kind: Any) -> str:
    plain, *parts = plain_kind(kind)
    if plain is Literal:
        return "str"
    if plain in (list, tuple):
        item = _annotation(parts[0])
        return f"List[{item}]"
    if plain is dict:
        return "dict"
    return _TYPES[plain]


def _docstring(config: type[ComponentConfig]) -> Iterator[str]:
    parsed = docstring_parser.parse(config.__doc__ or "")
    described = {key: config.model_fields[key].description or "" for key in inputs(config)}
    described |= {key: output.description for key, output in config.interface.outputs.items()} | parameters(config)
    text = "\n\n".join(part for part in (parsed.short_description, parsed.long_description) if part)
    yield f'"""{text}\n\nArgs:'
    if _passes(config):
        described[PARAMETER] = (
            "KFP fills it in: settings of the task that apply to the pods of its job (KFP 2.15 or newer)."
        )
    for key, description in described.items():
        yield textwrap.fill(f"{key}: {description}", _WIDTH, initial_indent="    ", subsequent_indent="        ")
    if config.interface.returns:
        yield f"\nReturns:\n    {config.interface.returns[2]}"
    yield '"""'


def _body(name: str, config: type[ComponentConfig]) -> Iterator[str]:
    outputs = config.interface.outputs
    helpers = sorted({"run_component", *filter(None, map(_helper, outputs.values()))})
    assigned = "summary = " if len(helpers) > 1 or config.interface.returns else ""
    yield f"from compaware.components.launch import {', '.join(helpers)}\n"
    job = config.interface.job
    yield f'{assigned}run_component(\n    "{name}",\n    {{'
    for key, value in _values(config).items():
        yield f'        "{key}": {value},'
    passed = f"    {PARAMETER},\n" if _passes(config) else ""
    yield "    },\n" + (f"    {JOB},\n{passed})" if job else ")")
    main = next(key for key, output in outputs.items() if output.field == "output")
    for key, output in outputs.items():
        match _helper(output):
            case "copy_file":
                yield f'copy_file({main}, "{output.file}", {key})'
            case "save_text":
                yield f'save_text(summary.facts["{output.fact}"], {key})'
            case str(log):
                yield f"{log}(summary, {key})"
    if config.interface.returns:
        yield f'return summary.facts["{config.interface.returns[0]}"]'


def _helper(output: Output) -> str | None:
    """The function of components/launch that fills an output, unless the component itself does."""
    if output.field:
        return None
    if output.file:
        return "copy_file"
    if output.fact:
        return "save_text"
    return {"Metrics": "log_metrics", "ClassificationMetrics": "log_classification"}[output.type]


def _values(config: type[ComponentConfig]) -> dict[str, str]:
    """Returns the arguments of `run_component`: key of the configuration to Python expression."""
    outputs = {output.field: key for key, output in config.interface.outputs.items() if output.field}
    uris = {
        key: f"{outputs['output']}.uri" for key, field in config.model_fields.items() if marker(field) is OUTPUT_URI
    }
    own = [*inputs(config), *parameters(config)]
    return outputs | {key: key for key in own if key != JOB or JOB in config.model_fields} | uris
