"""Builds classifiers with fresh weights from a transformers configuration."""

import difflib
import logging
from typing import Any

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from compaware.components.core.base.errors import UserError, first_line
from compaware.components.core.data.dataset import Manifest
from compaware.components.core.models.config import require_classifier
from compaware.components.core.models.families import FAMILIES
from compaware.components.core.models.heads import set_labels

log = logging.getLogger(__name__)

# Keys that older versions of transformers wrote, and that have no effect now.
_OLDER_KEYS = {"gradient_checkpointing", "position_embedding_type", "torch_dtype"}


def new_classifier(config: dict[str, Any], manifest: Manifest, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Builds a classifier with fresh weights.

    Args:
        config: Keys of a transformers configuration; `model_type` names the architecture.
        manifest: Names the labels of the head.
        tokenizer: Sets the size of the embedding.

    Raises:
        UserError: `model_type` is missing, unknown or has no classifier, or the configuration does not fit it.
    """
    values = dict(config)
    if "model_type" not in values:
        raise UserError("the model's config has no 'model_type' (for example bert)")
    family = values.pop("model_type")
    if family not in list(CONFIG_MAPPING):
        raise UserError(
            f"cannot build a model of the unknown model_type '{family}': choose one of {', '.join(FAMILIES)}"
        )
    _require_plausible(family, values)
    values.setdefault("vocab_size", len(tokenizer))
    if values["vocab_size"] < len(tokenizer):
        raise UserError(f"vocab_size {values['vocab_size']} is less than the tokenizer's {len(tokenizer)} tokens")
    values.setdefault("pad_token_id", tokenizer.pad_token_id)
    try:
        built = AutoConfig.for_model(family, **values)
    except Exception as error:  # transformers raises many kinds of errors for wrong values.
        raise UserError(f"cannot build a model from its config: {first_line(error)}") from error
    require_classifier(built)
    set_labels(built, manifest)
    try:
        return AutoModelForSequenceClassification.from_config(built, dtype=torch.float32)
    except Exception as error:
        raise UserError(f"cannot build a model from its config: {first_line(error)}") from error


def _require_plausible(family: str, values: dict[str, Any]) -> None:
    """Checks keys and sizes, since transformers ignores a misspelt key and uses the default.

    Raises:
        UserError: A key looks like a misspelt one (other unknown keys may come from an older library), a size is not a
            positive number, or the model would be quantized.
    """
    config_class = CONFIG_MAPPING[family]
    defaults = config_class().to_dict()
    known = {*defaults, *config_class.attribute_map, "num_labels"}
    for key, value in values.items():
        default = defaults.get(config_class.attribute_map.get(key, key))
        is_size = isinstance(default, int) and default > 0 and not isinstance(default, bool)
        if is_size and not key.endswith("_token_id") and (type(value) is not int or value < 1):
            raise UserError(f"'{key}' in the model's config is {value!r}: it must be a whole number above 0")
        if key == "quantization_config":
            raise UserError("a new model is built in FP32: leave quantization_config out of its config")
        if key in known or key in _OLDER_KEYS or key.endswith("_token_id"):
            continue
        close = difflib.get_close_matches(key, known, cutoff=0.7)
        if close:
            raise UserError(f"a {family} model's config has no key '{key}': did you mean {' or '.join(close)}?")
        log.warning("transformers has no key '%s' for a %s model's config", key, family)
