"""Loading, building and saving classifiers: safetensors only, no code from outside."""

import difflib
import logging
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from compaware.components.core.artifacts import fingerprint_files
from compaware.components.core.dataset import Manifest
from compaware.components.core.distributed import is_main
from compaware.components.core.errors import UserError, first_line
from compaware.components.core.families import FAMILIES, why_not
from compaware.components.core.labels import (
    align_labels,
    check_head,
    find_order,
    head_is_fresh,
    renew_head,
    set_labels,
)
from compaware.components.core.model_config import load_config
from compaware.components.core.tokenizer import load_tokenizer as load_tokenizer
from compaware.components.core.tokenizer import tokenizer_fingerprint as tokenizer_fingerprint

log = logging.getLogger(__name__)
_WEIGHTS = "model.safetensors"
_FAMILIES = ", ".join(FAMILIES)
# Keys of a configuration that older libraries wrote, and this one has no use for.
_OLDER_KEYS = {"gradient_checkpointing", "position_embedding_type", "torch_dtype"}


def load_classifier(source: str | Path, **options: Any) -> PreTrainedModel:
    """Loads a sequence classifier in FP32 from a folder or a hub id.

    Args:
        source: A folder, or a hub id.
        **options: For `from_pretrained` (`attn_implementation`, `revision`, …); `ignore_mismatched_sizes` is of use
            for heads alone.

    Raises:
        UserError: There is no such model, its weights are missing, pickled or corrupt, or its code would have to
            come from the hub.
    """
    config = options.pop("config", None) or load_config(source)
    new_head = options.pop("ignore_mismatched_sizes", False)
    _require_classifier(config)
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            str(source),
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            trust_remote_code=False,
            **options,
        )
    except SafetensorError as error:
        raise UserError(f"the weights of {source} are corrupt ({error}): save or download the model again") from error
    except Exception as error:  # Files of other people, read by libraries that raise what they like.
        raise UserError(f"cannot load a classifier from {source}: {first_line(error)}") from error
    model.fresh_parameters = _fresh(model, source, info, new_head)
    return model


def _fresh(model: PreTrainedModel, source: str | Path, info: dict[str, Any], new_head: bool) -> list[str]:
    """Names of the parameters that start fresh, which only those of a head may.

    Raises:
        UserError: The encoder's would, or a head of another size is in the way, or weights are no numbers.
    """
    encoder = f"{model.base_model_prefix}."
    for name, saved, wanted in sorted(info["mismatched_keys"]):
        if name.startswith(encoder) or not new_head:
            raise UserError(
                f"the weights of {source} do not fit its config.json: {name} is {tuple(saved)}, by the config it is "
                f"{tuple(wanted)} ({model.config.num_labels} labels): correct config.json, or download the model again"
            )
    missing = sorted({*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])})
    lost = [name for name in missing if name.startswith(encoder) and "pooler" not in name]
    if lost:
        raise UserError(
            f"{source} has no weights for {len(lost)} parameters of its {model.config.model_type} encoder ({lost[0]}): "
            "give the model that save_pretrained wrote"
        )
    unused = sorted(name for name in info["unexpected_keys"] if name.startswith(encoder) and "pooler" not in name)
    if unused:
        log.warning("%s has %d weights that its config.json has no use for (%s)", source, len(unused), unused[0])
    if missing:
        log.warning("%s has no weights for %s: they start fresh", source, ", ".join(missing))
    if not all(torch.isfinite(parameter).all() for parameter in model.parameters()):
        raise UserError(f"the weights of {source} hold NaN or infinite values: save or download the model again")
    return missing


def load_trained(source: str | Path) -> PreTrainedModel:
    """Loads a classifier that has all its weights, its head's as well.

    Raises:
        UserError: It has not, as an encoder that is not fine-tuned, or as `load_classifier`.
    """
    model = load_classifier(source)
    if model.fresh_parameters:
        raise UserError(
            f"{source} is not fine-tuned: it has no weights for {', '.join(model.fresh_parameters)}; "
            "give a model that was trained for this data"
        )
    return model


def load_with_new_head(source: str | Path, manifest: Manifest) -> PreTrainedModel:
    """Loads a model whose classification head starts fresh with the data's labels.

    Raises:
        UserError: As `load_classifier`.
    """
    config = load_config(source)
    set_labels(config, manifest)
    model = load_classifier(source, config=config, ignore_mismatched_sizes=True)
    # A head of the same width was loaded, whatever its labels are.
    renew_head(model)
    return model


def load_student(source: str | Path, manifest: Manifest) -> PreTrainedModel:
    """Loads a student: a classifier with as many labels as the data, or an encoder, which gets a new head.

    A classifier's labels are put in the data's order; one whose labels are not the data's gets a new head, too.

    Raises:
        UserError: It is a classifier with another number of labels, or as `load_classifier`.
    """
    config = load_config(source)
    if any("SequenceClassification" in name for name in config.architectures or []):
        check_head(config, manifest, "student")
    if config.num_labels != manifest.num_labels:
        set_labels(config, manifest)
    model = load_classifier(source, config=config)
    if not head_is_fresh(model):
        try:
            align_labels(model, manifest, role="student")
        except UserError as error:
            log.warning("%s; it gets a new head", error)
            renew_head(model)
    set_labels(model.config, manifest)
    return model


def load_in_order(source: Path, manifest: Manifest, work: Path) -> tuple[PreTrainedModel, Path]:
    """Loads a classifier and puts its labels in the data's order.

    Args:
        source: Its folder.
        manifest: Names the data's labels.
        work: Where rank 0 puts a copy if the order is another.

    Returns:
        The classifier, and the folder that holds it as it is now, for rank 0.

    Raises:
        UserError: Its labels are not the data's, or as `load_trained`.
    """
    model = load_trained(source)
    order, _ = find_order(model.config, manifest, role="model")
    align_labels(model, manifest, role="model")
    if order == sorted(order):
        return model, source
    folder = work / "in_order"
    if is_main():
        save_classifier(model, load_tokenizer(source), folder)
    return model, folder


def save_classifier(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Saves weights (safetensors), configuration and tokenizer, as `from_pretrained` reads them."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def new_classifier(config: dict[str, Any], manifest: Manifest, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Builds a classifier with fresh weights.

    Args:
        config: Keys of a transformers configuration; `model_type` names the architecture.
        manifest: Gives the head its labels.
        tokenizer: Gives the embedding its size.

    Raises:
        UserError: `model_type` is missing, unknown or has no classifier, or the configuration is not one of its.
    """
    values = dict(config)
    if "model_type" not in values:
        raise UserError("the model's config has no 'model_type' (for example bert)")
    family = values.pop("model_type")
    if family not in list(CONFIG_MAPPING):
        raise UserError(f"cannot build a model of the unknown model_type '{family}': choose one of {_FAMILIES}")
    _require_plausible(family, values)
    values.setdefault("vocab_size", len(tokenizer))
    if values["vocab_size"] < len(tokenizer):
        raise UserError(f"vocab_size {values['vocab_size']} is less than the tokenizer's {len(tokenizer)} tokens")
    values.setdefault("pad_token_id", tokenizer.pad_token_id)
    try:
        built = AutoConfig.for_model(family, **values)
    except Exception as error:  # What the values of somebody's config make a library raise.
        raise UserError(f"cannot build a model from its config: {first_line(error)}") from error
    _require_classifier(built)
    set_labels(built, manifest)
    try:
        return AutoModelForSequenceClassification.from_config(built, dtype=torch.float32)
    except Exception as error:
        raise UserError(f"cannot build a model from its config: {first_line(error)}") from error


def _require_plausible(family: str, values: dict[str, Any]) -> None:
    """Looks at the keys, since a misspelt one would leave its default in place without a word, and at sizes.

    Raises:
        UserError: A key is much like one of the family's (others may be those of an older library), a size is none, or
            the model would be quantized.
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
            raise UserError("a model is built in FP32: leave quantization_config out of its config")
        if key in known or key in _OLDER_KEYS or key.endswith("_token_id"):
            continue
        close = difflib.get_close_matches(key, known, cutoff=0.7)
        if close:
            raise UserError(f"a {family} model's config has no key '{key}': did you mean {' or '.join(close)}?")
        log.warning("a %s model's config has no key '%s' of its own", family, key)


def keep_layers(teacher: PreTrainedModel, layers: list[int]) -> PreTrainedModel:
    """Makes a student of some of the teacher's encoder layers, with copies of all its other weights.

    Args:
        teacher: A model whose encoder layers lie in one `ModuleList`.
        layers: Indices of the layers to keep, in order; the first is 0.

    Raises:
        UserError: A layer does not exist, or is named twice or none is, or the first does not fit there.
    """
    name, count = encoder_layers(teacher)
    if not layers or len(set(layers)) != len(layers) or not all(0 <= layer < count for layer in layers):
        raise UserError(f"student_layers {layers} must name different layers of the teacher, 0 to {count - 1}")
    config = type(teacher.config).from_dict(teacher.config.to_dict())
    setattr(config, _layer_count_name(config), len(layers))
    if getattr(config, "layer_types", None):
        # Local and global attention, by layer.
        config.layer_types = [config.layer_types[layer] for layer in layers]
    student = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    pattern = re.compile(re.escape(name) + r"\.(\d+)\.")
    weights = {}
    for key, value in teacher.state_dict().items():
        match = pattern.match(key)
        if match and int(match[1]) not in layers:
            continue
        weights[pattern.sub(f"{name}.{layers.index(int(match[1]))}.", key, count=1) if match else key] = value
    # ModernBERT's first layer lacks a norm that the others have.
    if student.load_state_dict(weights, strict=False) != ([], []):
        family = teacher.config.model_type
        raise UserError(
            f"student_layers {layers} must begin with 0: the first layer of a {family} model is unlike the others"
        )
    return student


def freeze_layers(model: PreTrainedModel, count: int) -> None:
    """Takes the embeddings and the first encoder layers out of training.

    Args:
        model: Changed in place: all parameters that the output of these layers depends on want no gradient, and the
            modules that hold only such stay in evaluation mode, without dropout.
        count: Encoder layers that stay as they are.

    Raises:
        UserError: No layer would be left to train, or the layers do not lie in one `ModuleList`.
    """
    depth = encoder_layers(model)[1]
    if count >= depth:
        raise UserError(f"frozen_layers {count} leaves none of the student's {depth} layers to train: give fewer")
    ids = torch.zeros(1, 4, dtype=torch.int64, device=model.device)
    output = model.base_model(input_ids=ids, output_hidden_states=True).hidden_states[count]
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(output.sum(), parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.requires_grad_(gradient is None)
    for module in model.modules():
        own = list(module.parameters())
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()
            module.train = _stays_in_evaluation.__get__(module)


def _stays_in_evaluation(module: torch.nn.Module, mode: bool = True) -> torch.nn.Module:
    return module


def encoder_layers(model: PreTrainedModel) -> tuple[str, int]:
    """Name of the module list that holds the encoder's layers, and their number.

    Raises:
        UserError: There is none.
    """
    expected = getattr(model.config, _layer_count_name(model.config), None)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == expected:
            return name, expected
    family = model.config.model_type
    reason = why_not(family, "kept_layers") or "they are not in one list"
    raise UserError(f"the layers of a {family} model cannot be told apart ({reason}): use no option that names layers")


def model_fingerprint(folder: Path) -> str:
    """SHA-256 of a saved model's weights and configuration."""
    return fingerprint_files([folder / _WEIGHTS, folder / "config.json"])


def _require_classifier(config: PreTrainedConfig) -> None:
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise UserError(
            f"transformers has no text classifier of a {config.model_type} model: choose one of {_FAMILIES}"
        )


def _layer_count_name(config: PreTrainedConfig) -> str:
    return config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
