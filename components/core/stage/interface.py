"""How a component appears in Kubeflow Pipelines. Its configuration class says so; component.py is generated from that.

A field is an artifact (`Input`), a parameter of its own (`MAIN`, which users set, or `GIVEN`, which a pipeline sets),
or one of the keys that the parameter `options` takes. `interface` names the image and the outputs.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, create_model
from pydantic_core import CoreSchema, core_schema

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.values import kind_of

# The parameter that holds all keys without a parameter of their own.
OPTIONS = "options"
# The parameter that says how a training is launched: `components/launch`'s JobOptions.
JOB = "job"
# Fields that say where a component works; whoever starts it sets them.
_PLACES = ("existing_output", "work", "work_uri", "models_uri")


@dataclass(frozen=True)
class Input:
    """Marks a field that is an input artifact.

    Attributes:
        type: KFP's type: Dataset, Model or Artifact.
    """

    type: str


class Parameter(Enum):
    """Marks a field that is a parameter of its own."""

    MAIN = "main"
    GIVEN = "given"
    # Given, and the URI of the artifact that the component writes.
    OUTPUT_URI = "output URI"


MAIN = Parameter.MAIN
GIVEN = Parameter.GIVEN
OUTPUT_URI = Parameter.OUTPUT_URI


@dataclass(frozen=True)
class Output:
    """An output artifact. Metrics and ClassificationMetrics come from the summary, the others from one of the sources.

    Attributes:
        type: KFP's type.
        description: What it holds.
        field: The field that takes its path.
        file: The file of the main output that it is a copy of.
        fact: The text of the summary's facts that it holds.
    """

    type: str
    description: str
    field: str = ""
    file: str = ""
    fact: str = ""


@dataclass(frozen=True)
class Interface:
    """What the fields of a configuration do not say.

    Attributes:
        image: Name of the image in `compaware.components.images`.
        outputs: The output artifacts by name.
        returns: Name in the summary's facts, Python type and description of an output parameter; empty for none.
        job: Whether it starts trainings, and so has the parameter `job`.
    """

    image: Literal["DATA", "LAUNCHER", "BENCHMARK"]
    outputs: Mapping[str, Output]
    returns: tuple[str, str, str] | tuple[()] = ()
    job: bool = False


def marker(field: Any) -> Input | Parameter | None:
    """The marker of a field, if it has one."""
    return next((item for item in field.metadata if isinstance(item, Input | Parameter)), None)


def option_names(model: type[BaseModel]) -> list[str]:
    """The keys of a configuration that its component takes in `options`."""
    return [
        name
        for name, field in model.model_fields.items()
        if marker(field) is None and name not in _PLACES and not name.endswith("output")
    ]


def options_model(model: type[BaseModel]) -> type[BaseModel]:
    """A model of what `options` may hold: each key of its type, none of them required, and no others."""
    fields: dict[str, Any] = {
        name: (kind_of(model.model_fields[name]) | None, Field(None, description=model.model_fields[name].description))
        for name in option_names(model)
    }
    config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    return create_model(f"{model.__name__}Options", __config__=config, **fields)


@dataclass(frozen=True)
class OptionsOf:
    """Makes a field a mapping of options of another configuration, which are validated where they are given.

    Attributes:
        model: That configuration.
    """

    model: type[BaseModel]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validates as `options_model`, and leaves a dict of the keys that were given."""
        schema = handler.generate_schema(options_model(self.model))
        return core_schema.no_info_after_validator_function(_given, schema)


def _given(options: BaseModel) -> dict[str, Any]:
    return {key: value for key, value in options.model_dump(exclude_unset=True).items() if value is not None}


def merge_options(
    model: type[BaseModel], shared: Mapping[str, type[BaseModel]], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Puts the keys of `options`, and of the mappings shared with other components, among the other values.

    Args:
        model: The component's configuration.
        shared: The shared mappings by name, and the model whose keys they take. Keys that this component does not have
            are for the others. `options` replace them.
        values: As KFP or a file gives them.

    Raises:
        UserError: A key is unknown, or given twice with different values.
    """
    merged = {name: value for name, value in values.items() if name not in (*shared, OPTIONS)}
    common: dict[str, Any] = {}
    for name, its_model in shared.items():
        given = _mapping(name, values, option_names(its_model))
        common |= {key: value for key, value in given.items() if key in model.model_fields}
    for key, value in _mapping(OPTIONS, values, option_names(model)).items():
        if merged.get(key, value) != value:
            raise UserError(f"'{key}' and '{OPTIONS}.{key}' differ: leave one of them out")
        common[key] = value
    return common | merged


def _mapping(name: str, values: Mapping[str, Any], known: list[str]) -> dict[str, Any]:
    given = values.get(name) or {}
    if not isinstance(given, Mapping):
        raise UserError(f"'{name}' must be a mapping of keys to values")
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{name}.{close[0]}'?" if close else f"choose from {', '.join(known)}"
            raise UserError(f"unknown key '{name}.{key}': {hint}")
    return {key: value for key, value in given.items() if value is not None}
