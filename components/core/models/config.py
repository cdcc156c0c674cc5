"""Loads the configuration of a model, with the names of its labels in order."""

import logging
from pathlib import Path
from typing import Any

import transformers
from transformers import CONFIG_MAPPING, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoConfig, PreTrainedConfig

from compaware.components.core.base.errors import UserError, first_line
from compaware.components.core.models.families import FAMILIES
from compaware.components.core.models.files import check_model_folder

log = logging.getLogger(__name__)
# Temperature of the logits in config.json, see `core.evaluation.calibration`. (transformers takes a key named
# `temperature` for an option of text generation.)
TEMPERATURE_KEY = "calibration_temperature"


def load_model_config(source: str | Path) -> PreTrainedConfig:
    """Loads the configuration of a model folder or a hub id, without the temperature that its logits were fitted with.

    Models that are made of this one have other logits.

    Raises:
        UserError: There is no configuration, or the model cannot be loaded by this version of transformers.
    """
    check_model_folder(source)
    try:
        values, _ = PreTrainedConfig.get_config_dict(str(source))
    except Exception as error:  # The hub's client raises many kinds of errors.
        reason = "" if Path(source).is_dir() else " from a folder or the hub"
        raise UserError(f"cannot load the configuration of {source}{reason}: {first_line(error)}") from error
    _require_readable(source, values)
    try:
        config = AutoConfig.from_pretrained(str(source), trust_remote_code=False)
    except Exception as error:  # transformers raises many kinds of errors for wrong values.
        raise UserError(f"cannot read config.json of {source}: {first_line(error)}") from error
    _settle_labels(source, config, values)
    if hasattr(config, TEMPERATURE_KEY):
        delattr(config, TEMPERATURE_KEY)
    return config


def _require_readable(source: str | Path, values: dict[str, Any]) -> None:
    family = values.get("model_type")
    if family is None:
        raise UserError(f"config.json of {source} has no model_type: give a folder that save_pretrained wrote")
    if family not in CONFIG_MAPPING:
        reason = f"which transformers {transformers.__version__} does not know"
        if "auto_map" in values:
            reason = "which needs code from the hub"
        raise UserError(f"{source} is a {family} model, {reason}: choose one of {', '.join(FAMILIES)}")
    if values.get("quantization_config"):
        method = dict(values["quantization_config"]).get("quant_method", "an unknown method")
        raise UserError(f"{source} is quantized ({method}): give the FP32, FP16 or BF16 model that it was made from")
    names, count = values.get("id2label"), values.get("num_labels")
    if names is None:
        return
    if not isinstance(names, dict) or not all(str(key).isdecimal() for key in names):
        raise UserError(f'id2label in config.json of {source} must map numbers to names, like {{"0": "negative"}}')
    if count is not None and count != len(names):
        raise UserError(
            f"config.json of {source} has num_labels {count} and {len(names)} names in id2label: correct it"
        )


def _settle_labels(source: str | Path, config: PreTrainedConfig, values: dict[str, Any]) -> None:
    """Numbers the labels from 0, like the rows of the head, and takes names from label2id if id2label has none."""
    numbers, count = sorted(config.id2label), config.num_labels
    if numbers != list(range(count)):
        log.warning(
            "id2label of %s has the numbers %s: they are assigned to the rows of its head in order", source, numbers
        )
        config.id2label = {row: config.id2label[number] for row, number in enumerate(numbers)}
    by_name = values.get("label2id")
    if not isinstance(by_name, dict) or sorted(map(str, by_name.values())) != sorted(map(str, range(count))):
        return
    by_number = {int(number): str(name) for name, number in by_name.items()}
    if by_number == config.id2label:
        return
    if all(name == f"LABEL_{number}" for number, name in config.id2label.items()):
        log.info("id2label of %s has no names: the names of its label2id are used, %s", source, list(by_name))
        config.id2label = by_number
    elif set(by_number.values()) == set(config.id2label.values()):
        log.warning("id2label and label2id of %s contradict each other: id2label is used", source)


def require_classifier(config: PreTrainedConfig) -> None:
    """Checks that transformers has a text classifier for a configuration.

    Raises:
        UserError: There is no such classifier.
    """
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise UserError(
            f"transformers has no text classifier for {config.model_type} models: choose one of {', '.join(FAMILIES)}"
        )
