"""Loading, building and saving classifiers: safetensors only, no code from outside."""

import json
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
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from compaware.components.core.artifacts import fingerprint_files
from compaware.components.core.dataset import Manifest
from compaware.components.core.errors import UserError
from compaware.components.core.families import FAMILIES, why_not

log = logging.getLogger(__name__)
_WEIGHTS = "model.safetensors"
_FAMILIES = ", ".join(FAMILIES)


def load_classifier(source: str | Path, **options: Any) -> PreTrainedModel:
    """Loads a sequence classifier in FP32 from a folder or a hub id.

    Args:
        source: A folder, or a hub id.
        **options: For `from_pretrained` (`attn_implementation`, `revision`, …).

    Raises:
        UserError: There is no such model, its weights are missing, pickled or corrupt, or its code would have to
            come from the hub.
    """
    config = options.pop("config", None) or _load_config(source)
    _require_classifier(config)
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            str(source), config=config, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **options
        )
    except SafetensorError as error:
        raise UserError(f"the weights of {source} are corrupt ({error}): save or download the model again") from error
    except (OSError, ValueError) as error:
        raise UserError(f"cannot load a classifier from {source}: {_first_line(error)}") from error
    except RuntimeError as error:
        raise UserError(f"the weights of {source} do not fit its config.json: {_first_line(error)}") from error
    missing = sorted(info["missing_keys"])
    if missing:
        log.warning("%s has no weights for %s: they start fresh", source, ", ".join(missing))
    model.fresh_parameters = missing
    return model


def load_with_new_head(source: str | Path, manifest: Manifest) -> PreTrainedModel:
    """Loads a model whose classification head starts fresh with the data's labels.

    Raises:
        UserError: As `load_classifier`.
    """
    config = _load_config(source)
    set_labels(config, manifest)
    return load_classifier(source, config=config, ignore_mismatched_sizes=True)


def load_student(source: str | Path, manifest: Manifest) -> PreTrainedModel:
    """Loads a student: a classifier with as many labels as the data, or an encoder, which gets a new head.

    Raises:
        UserError: It is a classifier with another number of labels, or as `load_classifier`.
    """
    config = _load_config(source)
    if any("SequenceClassification" in name for name in config.architectures or []):
        check_head(config, manifest, "student")
    set_labels(config, manifest)
    return load_classifier(source, config=config)


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """Loads a tokenizer from a folder or a hub id.

    Raises:
        UserError: There is none, or it has no padding token, as those of decoders often have.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(source))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot load a tokenizer from {source}: {_first_line(error)}") from error
    if tokenizer.pad_token_id is None:
        raise UserError(f"the tokenizer of {source} has no padding token: set its pad_token and save it again")
    return tokenizer


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
    values.setdefault("vocab_size", len(tokenizer))
    if values["vocab_size"] < len(tokenizer):
        raise UserError(f"vocab_size {values['vocab_size']} is less than the tokenizer's {len(tokenizer)} tokens")
    values.setdefault("pad_token_id", tokenizer.pad_token_id)
    family = values.pop("model_type")
    if family not in CONFIG_MAPPING:
        raise UserError(f"cannot build a model of the unknown model_type '{family}': choose one of {_FAMILIES}")
    try:
        built = AutoConfig.for_model(family, **values)
        _require_classifier(built)
        set_labels(built, manifest)
        return AutoModelForSequenceClassification.from_config(built)
    except (ValueError, TypeError) as error:
        raise UserError(f"cannot build a model from its config: {_first_line(error)}") from error


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
    student = AutoModelForSequenceClassification.from_config(config)
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


def set_labels(config: PreTrainedConfig, manifest: Manifest) -> None:
    """Writes the data's label names (or regression) into a model configuration."""
    if manifest.problem_type == "regression":
        config.num_labels = 1
        config.problem_type = "regression"
    else:
        config.id2label = dict(enumerate(manifest.label_names))
        config.label2id = {name: index for index, name in enumerate(manifest.label_names)}
        multi_label = manifest.problem_type == "multi_label_classification"
        config.problem_type = "multi_label_classification" if multi_label else "single_label_classification"


def check_head(config: PreTrainedConfig, manifest: Manifest, role: str) -> None:
    """Checks that the head in a model's configuration has the data's width.

    Raises:
        UserError: It has another number of labels.
    """
    if config.num_labels != manifest.num_labels:
        wanted = f"{manifest.num_labels} classes ({', '.join(manifest.label_names)})" if manifest.label_names else "one"
        raise UserError(
            f"the {role} has {config.num_labels} outputs, the data wants {wanted}: choose a {role} for this data"
        )


def model_fingerprint(folder: Path) -> str:
    """SHA-256 of a saved model's weights and configuration."""
    return fingerprint_files([folder / _WEIGHTS, folder / "config.json"])


def tokenizer_fingerprint(folder: Path) -> str:
    """SHA-256 of a saved tokenizer's files."""
    return fingerprint_files([file for file in folder.iterdir() if file.name.startswith(("tokenizer", "vocab"))])


def _load_config(source: str | Path) -> PreTrainedConfig:
    _check_folder(source)
    try:
        return AutoConfig.from_pretrained(str(source))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot load the configuration of {source}: {_first_line(error)}") from error


def _require_classifier(config: PreTrainedConfig) -> None:
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise UserError(
            f"transformers has no text classifier of a {config.model_type} model: choose one of {_FAMILIES}"
        )


def _check_folder(source: str | Path) -> None:
    folder = Path(source)
    if not folder.is_dir():
        if str(source).startswith(("/", ".", "~")) or str(source).count("/") > 1:
            raise UserError(f"there is no model folder {source}")
        return
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} has no config.json: give a folder that save_pretrained wrote")
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{folder}/config.json is not JSON: {error}") from error
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth", "*.pkl") for file in folder.glob(pattern))
        found = f"only pickled weights ({pickled[0]}), which can run code when read" if pickled else "no weights"
        raise UserError(f"{folder} holds {found}: save the model as safetensors (save_pretrained does)")


def _layer_count_name(config: PreTrainedConfig) -> str:
    return config.attribute_map.get("num_hidden_layers", "num_hidden_layers")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
