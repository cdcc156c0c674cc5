"""The parameters of a pipeline with their types, and the flat names of the keys of their mappings.

The flat name of the key `epochs` of `student_options` is `student_epochs`. A key that only one mapping has is its own
flat name, such as `max_train_rows`. This module does not import KFP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.values import is_nullable, kind_of
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import JOB, OPTIONS, OptionsOf, option_names, options_model
from compaware.components.core.stage.options import SharedTrainingOptions
from compaware.components.launch.options import JobOptions
from compaware.pipelines.client import catalog

_KFP_TYPES: dict[str, Any] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": bool,
    "LIST": list[Any],
    "STRUCT": dict[str, Any],
}
# Flat names that cannot be derived from the names of the mapping and the key.
ALIASES = {
    "card_tokenizer": ("data_options", "tokenizer"),
    "min_teacher_score": ("teacher_options", "min_score"),
    "fine_tune_teacher_if_needed": ("teacher_options", "fine_tune_if_needed"),
    "qat_epochs": ("quantization_options", "epochs"),
    "qat_learning_rate": ("quantization_options", "learning_rate"),
    "dense_modules": ("sparsity_options", "exclude"),
}
# Mappings whose keys are clear without the mapping's name.
_CLEAR_WITHOUT_PREFIX = ("data_options", "training_options", "publish_options", JOB)
# An earlier name of the mapping `job`.
_JOB_OPTIONS = "job_options"


@dataclass(frozen=True)
class Form:
    """The parameters of a pipeline.

    Attributes:
        kinds: Their types.
        models: For each parameter that is a mapping of options, the configuration that the options are for.
        flat: Flat name to parameter and key.
        written: A model of a configuration as it may be written, with flat names or mappings.
    """

    kinds: dict[str, Any]
    models: dict[str, type[BaseModel]]
    flat: dict[str, tuple[str, str]]
    written: type[BaseModel]

    @classmethod
    def of(cls, spec: dict[str, Any]) -> "Form":
        """Reads the form of a compiled pipeline.

        Args:
            spec: The compiled pipeline.
        """
        parameters = catalog.parameters(spec)
        kinds: dict[str, Any] = {}
        models: dict[str, type[BaseModel]] = {}
        for task in catalog.tasks(spec).values():
            config = catalog.config_class(catalog.component_of(task))
            if config is None:
                continue
            for theirs, ours in catalog.fed_by(spec, task).items():
                model = _model_of(config, theirs)
                if model:
                    models.setdefault(ours, model)
                elif theirs in config.model_fields:
                    kinds[ours] = kind_of(config.model_fields[theirs])
        kinds |= {name: options_model(model) for name, model in models.items()}
        for name, parameter in parameters.items():
            kinds.setdefault(name, _KFP_TYPES[parameter.kind])
        flat = _flat_names(models, set(kinds))
        fields: dict[str, Any] = {
            name: (kind | None, Field(None, description=parameters[name].description)) for name, kind in kinds.items()
        }
        fields |= {name: _optional(models[mapping].model_fields[key]) for name, (mapping, key) in flat.items()}
        if JOB in models:
            fields[_JOB_OPTIONS] = (kinds[JOB] | None, None)
        strict = ConfigDict(extra="forbid", protected_namespaces=())
        return cls(kinds, models, flat, create_model("PipelineParameters", __config__=strict, **fields))

    def fold(self, written: Mapping[str, Any]) -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
        """Moves what has a flat name into its mapping.

        Args:
            written: A configuration as it was written. A null means not given, unless that is a value of its own.

        Returns:
            The parameters that are given, and for each key of a mapping the name under which it was written.

        Raises:
            UserError: A key is given twice, with different values.
        """
        arguments: dict[str, Any] = {}
        names: dict[tuple[str, str], str] = {}
        for name, value in written.items():
            mapping = JOB if name == _JOB_OPTIONS else name
            if name in self.flat:
                keys = {self.flat[name]: (name, value)}
            elif mapping in self.models and value is not None:
                keys = {(mapping, key): (f"{name}.{key}", item) for key, item in value.items()}
                arguments.setdefault(mapping, {})
            elif value is not None:
                arguments[name] = value
                continue
            else:
                continue
            for (parameter, key), (shown, item) in keys.items():
                if item is None and not _null_is_a_value(self.models[parameter].model_fields[key]):
                    continue
                found = arguments.setdefault(parameter, {})
                if found.get(key, item) != item:
                    raise UserError(f"'{names[parameter, key]}' and '{shown}' differ: leave one of them out")
                found[key] = item
                names[parameter, key] = shown
        return {name: value for name, value in arguments.items() if value != {}}, names

    def rename(self, written: dict[str, Any], path: list[str], value: Any) -> None:
        """Renames what a word of the command line replaces, so that it overrides a file that uses the other name.

        Args:
            written: A configuration as it was written; changed in place.
            path: The word's key: `["student_epochs"]`, or `["student_options", "epochs"]`.
            value: The word's value.
        """
        name, *keys = path
        mapping = JOB if name == _JOB_OPTIONS else name
        if name in self.flat:
            places: dict[tuple[str, ...], tuple[str, str]] = {(name,): self.flat[name]}
        elif mapping in self.models:
            keys = keys[:1] or (list(value) if isinstance(value, dict) else [])
            places = {(name, key): (mapping, key) for key in keys}
        else:
            return
        if written.get(name) in ("", "null", "~"):
            del written[name]
        for wanted, (parameter, key) in places.items():
            others: list[tuple[str, ...]] = [(flat,) for flat, place in self.flat.items() if place == (parameter, key)]
            others += [(parameter, key), *([(_JOB_OPTIONS, key)] if parameter == JOB else [])]
            for *parents, last in (other for other in others if other != wanted):
                holder = written.get(parents[0]) if parents else written
                target = written.setdefault(name, {}) if len(wanted) > 1 else written
                if isinstance(holder, dict) and isinstance(target, dict) and last in holder:
                    target[wanted[-1]] = holder.pop(last)

    def flat_name(self, parameter: str, key: str) -> str:
        """The flat name that says best what a mapping's key is."""
        found = [name for name, place in self.flat.items() if place == (parameter, key)]
        alias = next((name for name in found if name in ALIASES), None)
        prefix = parameter.removesuffix(f"_{OPTIONS}")
        alone = parameter in _CLEAR_WITHOUT_PREFIX or key.startswith(prefix)
        wanted = alias or (key if alone else f"{prefix}_{key}")
        return wanted if wanted in found else next(iter(found), f"{parameter}.{key}")


def _model_of(config: type[ComponentConfig], parameter: str) -> type[BaseModel] | None:
    """The configuration whose options a component's parameter takes, if it takes options."""
    if parameter == OPTIONS:
        return config
    if parameter == JOB:
        return JobOptions
    if parameter in config.shared:
        return config.shared[parameter]
    field = config.model_fields.get(parameter)
    marked = next((item for item in field.metadata if isinstance(item, OptionsOf)), None) if field else None
    return marked.model if marked else None


def _flat_names(models: dict[str, type[BaseModel]], taken: set[str]) -> dict[str, tuple[str, str]]:
    """Aliases first, then a key's own name where it is clear, then the name with its mapping's prefix."""
    flat = {
        name: (mapping, key)
        for name, (mapping, key) in ALIASES.items()
        if mapping in models and key in models[mapping].model_fields
    }
    owners: dict[str, list[str]] = {}
    for mapping, model in models.items():
        for key in option_names(model):
            owners.setdefault(key, []).append(mapping)
    for key, mappings in owners.items():
        shared = [mapping for mapping in mappings if models[mapping] is SharedTrainingOptions]
        if shared or len(mappings) == 1:
            flat.setdefault(key, ((shared or mappings)[0], key))
    for key, mappings in owners.items():
        for mapping in mappings:
            flat.setdefault(f"{mapping.removesuffix(f'_{OPTIONS}')}_{key}", (mapping, key))
    return {name: place for name, place in flat.items() if name not in taken}


def _optional(field: FieldInfo) -> Any:
    return (Annotated[kind_of(field) | None, Field(description=field.description)], None)


def _null_is_a_value(field: FieldInfo) -> bool:
    return is_nullable(kind_of(field)) and field.get_default(call_default_factory=True) is not None
