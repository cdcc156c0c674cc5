"""Selects or freezes the encoder layers of a classifier."""

import re

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.models.families import limitation


def keep_layers(teacher: PreTrainedModel, layers: list[int]) -> PreTrainedModel:
    """Builds a student from some of the teacher's encoder layers and copies of all its other weights.

    Args:
        teacher: A model whose encoder layers lie in one `ModuleList`.
        layers: Indices of the layers to keep, in order; the first is 0.

    Raises:
        UserError: `layers` is empty, repeats a layer or has one that does not exist, or the first one does not fit.
    """
    name, count = encoder_layers(teacher)
    if not layers or len(set(layers)) != len(layers) or not all(0 <= layer < count for layer in layers):
        raise UserError(f"student_layers {layers} must name different layers of the teacher, 0 to {count - 1}")
    config = type(teacher.config).from_dict(teacher.config.to_dict())
    setattr(config, _layer_count_name(config), len(layers))
    if getattr(config, "layer_types", None):
        # Local or global attention of each layer.
        config.layer_types = [config.layer_types[layer] for layer in layers]
    student = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    pattern = re.compile(re.escape(name) + r"\.(\d+)\.")
    weights = {}
    for key, value in teacher.state_dict().items():
        match = pattern.match(key)
        if match and int(match[1]) not in layers:
            continue
        weights[pattern.sub(f"{name}.{layers.index(int(match[1]))}.", key, count=1) if match else key] = value
    # The first layer of ModernBERT has one norm less than the others.
    if student.load_state_dict(weights, strict=False) != ([], []):
        family = teacher.config.model_type
        raise UserError(
            f"student_layers {layers} must begin with 0: the first layer of a {family} model differs from the others"
        )
    return student


def freeze_layers(model: PreTrainedModel, count: int) -> None:
    """Freezes the embeddings and the first encoder layers.

    Args:
        model: Changed in place: the parameters that the output of these layers depends on need no gradient, and modules
            with only such parameters stay in evaluation mode, without dropout.
        count: Number of encoder layers to freeze.

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
    """Returns the name of the module list that holds the encoder's layers, and their number.

    Raises:
        UserError: There is no such list.
    """
    expected = getattr(model.config, _layer_count_name(model.config), None)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == expected:
            return name, expected
    family = model.config.model_type
    reason = limitation(family, "kept_layers") or "they are not in one list"
    raise UserError(f"the layers of a {family} model cannot be selected ({reason}): use no option that names layers")


def _layer_count_name(config: PreTrainedConfig) -> str:
    return config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
