"""The KFP interface of a component, defined by its configuration class; component.py is generated from it.

A field is an input artifact (`Input`), a parameter (`MAIN` if users set it, `GIVEN` if a pipeline sets it), or a key of
the parameter `options`. The class attribute `interface` has the image and the outputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, create_model
from pydantic_core import CoreSchema, core_schema

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import suggest
from compaware.components.core.base.values import kind_of, plain_kind, typed

# The parameter for all keys that are not parameters.
OPTIONS = "options"
# The parameter with the JobOptions of `components/launch`.
JOB = "job"
# Fields for the work and output folders, which the caller sets.
_WORK_FIELDS = ("existing_output", "work", "work_uri", "models_uri")


@dataclass(frozen=True)
class Input:
    """Marks a field as an input artifact.

    Attributes:
        type: KFP's type: Dataset, Model or Artifact.
    """

    type: str


class ParameterMarker(Enum):
    """Marks a field as a parameter."""

    MAIN = "main"
    GIVEN = "given"
    # Set by a pipeline to the URI of the output artifact.
    OUTPUT_URI = "output URI"


MAIN = ParameterMarker.MAIN
GIVEN = ParameterMarker.GIVEN
OUTPUT_URI = ParameterMarker.OUTPUT_URI


@dataclass(frozen=True)
class Output:
    """An output artifact. Metrics and ClassificationMetrics are written from the summary, others from one source below.

    Attributes:
        type: KFP's type.
        description: Description of the artifact.
        field: The field that is set to its path.
        file: The file of the main output that is copied to it.
        fact: The key in the summary's facts whose text is written to it.
    """

    type: str
    description: str
    field: str = ""
    file: str = ""
    fact: str = ""


@dataclass(frozen=True)
class Interface:
    """The parts of a component's interface that are not fields.

    Attributes:
        image: Name of the image in `compaware.components.images`.
        outputs: The output artifacts by name.
        returns: Name in the summary's facts, Python type and description of an output parameter; empty for none.
        job: Whether the component starts trainings and has the parameter `job`.
    """

    image: Literal["DATA", "LAUNCHER", "BENCHMARK"]
    outputs: Mapping[str, Output]
    returns: tuple[str, str, str] | tuple[()] = ()
    job: bool = False


def marker(field: Any) -> Input | ParameterMarker | None:
    """Returns the marker of a field, if it has one."""
    return next((item for item in field.metadata if isinstance(item, Input | ParameterMarker)), None)


def option_names(model: type[BaseModel]) -> list[str]:
    """Returns the keys of a configuration that belong in `options`."""
    return [
        name
        for name, field in model.model_fields.items()
        if marker(field) is None and name not in _WORK_FIELDS and not name.endswith("output")
    ]


def options_model(model: type[BaseModel]) -> type[BaseModel]:
    """Returns a model of `options`, in which every key has the type of its field and is optional."""
    fields: dict[str, Any] = {
        name: (kind_of(model.model_fields[name]) | None, Field(None, description=model.model_fields[name].description))
        for name in option_names(model)
    }
    config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    return create_model(f"{model.__name__}Options", __config__=config, **fields)


@dataclass(frozen=True)
class OptionsOf:
    """Makes a field a mapping of options of another component, which are validated by its configuration.

    Attributes:
        model: The other configuration.
    """

    model: type[BaseModel]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validates with `options_model` and returns a dict of the keys that are set."""
        schema = handler.generate_schema(options_model(self.model))
        return core_schema.no_info_after_validator_function(_set_values, schema)


def _set_values(options: BaseModel) -> dict[str, Any]:
    return {key: value for key, value in options.model_dump(exclude_unset=True).items() if value is not None}


def merge_options(
    model: type[BaseModel], shared: Mapping[str, type[BaseModel]], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Merges the keys of `options` and of the mappings shared with other components into the other values.

    Args:
        model: The component's configuration.
        shared: The shared mappings by name, with the model of their keys. Keys that this component does not have are
            ignored; `options` takes precedence.
        values: The values from KFP or a file. An empty parameter whose default is None is left out.

    Raises:
        UserError: A key is unknown, or is set twice with different values.
    """
    own = {name: value for name, value in values.items() if name not in (*shared, OPTIONS)}
    merged = {name: value for name, value in own.items() if not _stands_for_none(model, name, value)}
    common: dict[str, Any] = {}
    for name, shared_model in shared.items():
        options = _mapping(name, values, option_names(shared_model))
        common |= {key: value for key, value in options.items() if key in model.model_fields}
    for key, value in _mapping(OPTIONS, values, option_names(model)).items():
        if merged.get(key, value) != value:
            raise UserError(f"'{key}' and '{OPTIONS}.{key}' differ: leave one of them out")
        common[key] = value
    return common | merged


def empty_value(kind: Any) -> Any:
    """Returns the value that stands for None in KFP: an empty text or list, or zero.

    KFP requires all inputs of a sub-DAG, such as the stages before an exit task, so every parameter has a value.
    """
    plain, *_ = plain_kind(kind)
    return [] if plain in (list, tuple) else 0.0 if plain in (int, float) else ""


def _stands_for_none(model: type[BaseModel], name: str, value: Any) -> bool:
    field = model.model_fields.get(name)
    if field is None or marker(field) not in (MAIN, GIVEN):
        return False
    has_default = not field.is_required() and field.get_default(call_default_factory=True) is not None
    if has_default or isinstance(value, bool):
        return False
    # Numbers in files are text until the types of their fields are known.
    return bool(typed({name: value}, model)[name] == empty_value(kind_of(field)))


def _mapping(name: str, values: Mapping[str, Any], known: list[str]) -> dict[str, Any]:
    options = values.get(name) or {}
    if not isinstance(options, Mapping):
        raise UserError(f"'{name}' must be a mapping of keys to values")
    for key in options:
        if key not in known:
            raise UserError(f"unknown key '{name}.{key}': {suggest(key, known, f'{name}.')}")
    return {key: value for key, value in options.items() if value is not None}
