"""Puts the outputs of a classifier in the order of the data's labels, and changes its head."""

import logging
from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.dataset import Manifest
from compaware.components.core.data.label_names import order_labels, show_names

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alignment:
    """How a classifier's outputs were put in the data's order.

    Attributes:
        how: Description of the match, for the report.
        names: The classifier's own label names in the data's order; empty for regression.
    """

    how: str
    names: list[str]


def align_labels(
    model: PreTrainedModel, manifest: Manifest, label_order: list[str] | None = None, *, role: str = "teacher"
) -> Alignment:
    """Makes output i of a classifier stand for label i of the data.

    Args:
        model: Changed in place: the rows of its head are permuted, and its config gets the data's label names.
        manifest: Names the data's labels.
        label_order: The model's label names in the data's order, for labels that do not match by name.
        role: Name of the model in errors: teacher, student or model.

    Returns:
        How the labels were matched.

    Raises:
        UserError: The head has another number of outputs, or the labels cannot be matched.
    """
    order, how = find_order(model.config, manifest, label_order, role=role)
    names = [] if manifest.problem_type == "regression" else [str(model.config.id2label[index]) for index in order]
    permute_head(model, order)
    trained_for = model.config.problem_type
    set_labels(model.config, manifest)
    if trained_for not in (None, model.config.problem_type):
        log.warning(
            "the %s was trained for %s and is used for %s: its logits may have another meaning",
            role,
            trained_for,
            model.config.problem_type,
        )
    log.info("labels of the %s: %s", role, how)
    return Alignment(how, names)


def find_order(
    config: PreTrainedConfig, manifest: Manifest, label_order: list[str] | None = None, *, role: str = "teacher"
) -> tuple[list[int], str]:
    """Finds the output of a classifier for each label of the data.

    Args:
        config: Configuration of the classifier.
        manifest: Names the data's labels.
        label_order: See `align_labels`.
        role: See `align_labels`.

    Returns:
        The index of the output for each label of the data, a permutation; and how the labels were matched.

    Raises:
        UserError: As `align_labels`.
    """
    check_head(config, manifest, role)
    if manifest.problem_type == "regression":
        if label_order is not None:
            raise UserError("label_order is for classes, but the labels of this data are numbers: leave it out")
        return [0], "one output, regression"
    names = [str(config.id2label[index]) for index in range(config.num_labels)]
    return order_labels(names, manifest.label_names, role=role, label_order=label_order)


def classification_head(model: PreTrainedModel) -> tuple[str, torch.nn.Linear]:
    """Returns the name of the layer that computes the logits, and the layer.

    Raises:
        UserError: There is no such layer.
    """
    encoder = set(model.base_model.modules()) if model.base_model is not model else set()
    candidates = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and module.out_features == model.config.num_labels
        and module not in encoder
    ]
    if not candidates:
        raise UserError(f"the {model.config.model_type} model has no linear layer for its labels: use another model")
    # The last one computes the logits; a hidden layer of the head may have the same width.
    return candidates[-1]


def permute_head(model: PreTrainedModel, order: list[int]) -> None:
    """Reorders the outputs of a classifier: output i becomes the former output `order[i]`.

    Raises:
        UserError: The order is not a permutation, or the head is not found.
    """
    if sorted(order) != list(range(model.config.num_labels)):
        raise UserError(f"{order} is not an order of {model.config.num_labels} labels: list each index once")
    if order == sorted(order):
        return
    _, head = classification_head(model)
    with torch.no_grad():
        head.weight.copy_(head.weight[order])
        if head.bias is not None:
            head.bias.copy_(head.bias[order])


def rescale_head(model: PreTrainedModel, slope: float, intercept: float) -> None:
    """Rescales the output of a regression model: slope * output + intercept.

    Raises:
        UserError: The head has no bias to add `intercept` to.
    """
    _, head = classification_head(model)
    if head.bias is None:
        raise UserError(
            f"the head of the {model.config.model_type} model has no bias, so it cannot be rescaled to the labels: "
            "rescale the labels to the model's outputs, or fine-tune the model"
        )
    with torch.no_grad():
        head.weight.mul_(slope)
        head.bias.mul_(slope).add_(intercept)


def head_is_fresh(model: PreTrainedModel) -> bool:
    """Returns whether the layer that computes the logits of a loaded classifier has fresh weights."""
    return f"{classification_head(model)[0]}.weight" in model.fresh_parameters


def renew_head(model: PreTrainedModel) -> None:
    """Initializes the layer that computes the logits, as transformers does for a new classifier."""
    name, head = classification_head(model)
    model.fresh_parameters = sorted({*model.fresh_parameters, f"{name}.weight"})
    torch.nn.init.normal_(head.weight, std=getattr(model.config, "initializer_range", 0.02))
    if head.bias is not None:
        torch.nn.init.zeros_(head.bias)


def set_labels(config: PreTrainedConfig, manifest: Manifest) -> None:
    """Writes the data's problem type and label names into a model configuration."""
    if manifest.problem_type == "regression":
        config.num_labels = 1
        config.problem_type = "regression"
    else:
        config.id2label = dict(enumerate(manifest.label_names))
        config.label2id = {name: index for index, name in enumerate(manifest.label_names)}
        multi_label = manifest.problem_type == "multi_label_classification"
        config.problem_type = "multi_label_classification" if multi_label else "single_label_classification"


def check_head(config: PreTrainedConfig, manifest: Manifest, role: str) -> None:
    """Checks that a model's configuration has one output for each label of the data.

    Raises:
        UserError: It has another number of outputs.
    """
    if config.num_labels != manifest.num_labels:
        needed = (
            f"{manifest.num_labels} classes ({show_names(manifest.label_names)})"
            if manifest.label_names
            else "one number (regression)"
        )
        raise UserError(
            f"the {role} has {config.num_labels} outputs, but the data has {needed}: use a model trained for this data"
        )
