"""Puts the outputs of a classifier in the order of the data's labels, wherever a classifier comes in."""

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
        how: For the report.
        names: The classifier's own names of its labels, in the data's order; empty for regression.
    """

    how: str
    names: list[str]


def align_labels(
    model: PreTrainedModel, manifest: Manifest, label_order: list[str] | None = None, *, role: str = "teacher"
) -> Alignment:
    """Makes output i of a classifier mean label i of the data.

    Args:
        model: Changed in place: the rows of its head are permuted, its config gets the data's label names.
        manifest: Names the data's labels.
        label_order: The model's label names in the data's order, to settle what names cannot.
        role: What the model is called in errors: teacher, student or model.

    Returns:
        How the labels were matched.

    Raises:
        UserError: The head has another width, or the labels cannot be matched.
    """
    order, how = find_order(model.config, manifest, label_order, role=role)
    names = [] if manifest.problem_type == "regression" else [str(model.config.id2label[index]) for index in order]
    permute_head(model, order)
    trained_for = model.config.problem_type
    set_labels(model.config, manifest)
    if trained_for not in (None, model.config.problem_type):
        log.warning(
            "the %s was made for %s and serves %s here: its logits may mean something else",
            role,
            trained_for,
            model.config.problem_type,
        )
    log.info("labels of the %s: %s", role, how)
    return Alignment(how, names)


def find_order(
    config: PreTrainedConfig, manifest: Manifest, label_order: list[str] | None = None, *, role: str = "teacher"
) -> tuple[list[int], str]:
    """Finds, for each label of the data, the output of a classifier that means it.

    Args:
        config: The classifier's.
        manifest: Names the data's labels.
        label_order: As for `align_labels`.
        role: As for `align_labels`.

    Returns:
        The outputs, a permutation, and how they were found.

    Raises:
        UserError: As `align_labels`.
    """
    check_head(config, manifest, role)
    if manifest.problem_type == "regression":
        if label_order is not None:
            raise UserError("label_order is for classes, and these data have numbers: leave it out")
        return [0], "one output, regression"
    names = [str(config.id2label[index]) for index in range(config.num_labels)]
    return order_labels(names, manifest.label_names, role=role, label_order=label_order)


def classification_head(model: PreTrainedModel) -> tuple[str, torch.nn.Linear]:
    """Finds the layer that computes the logits: its name and itself.

    Raises:
        UserError: There is none.
    """
    encoder = set(model.base_model.modules()) if model.base_model is not model else set()
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and module.out_features == model.config.num_labels
        and module not in encoder
    ]
    if not found:
        raise UserError(f"the {model.config.model_type} model has no linear layer of its labels: choose another model")
    # Where a hidden layer of the head is as wide, the logits come after it.
    return found[-1]


def permute_head(model: PreTrainedModel, order: list[int]) -> None:
    """Makes output i of a classifier what its output `order[i]` was.

    Raises:
        UserError: The order is no permutation, or the head is not found.
    """
    if sorted(order) != list(range(model.config.num_labels)):
        raise UserError(f"{order} is no order of {model.config.num_labels} labels: name each once")
    if order == sorted(order):
        return
    _, head = classification_head(model)
    with torch.no_grad():
        head.weight.copy_(head.weight[order])
        if head.bias is not None:
            head.bias.copy_(head.bias[order])


def rescale_head(model: PreTrainedModel, slope: float, intercept: float) -> None:
    """Makes a regression model answer `slope` times what it did, plus `intercept`.

    Raises:
        UserError: Its head has no bias to add `intercept` to.
    """
    _, head = classification_head(model)
    if head.bias is None:
        raise UserError(
            f"the head of the {model.config.model_type} model has no bias, so it cannot be put on the labels' scale: "
            "scale the labels to the model's numbers, or fine-tune it on these"
        )
    with torch.no_grad():
        head.weight.mul_(slope)
        head.bias.mul_(slope).add_(intercept)


def head_is_fresh(model: PreTrainedModel) -> bool:
    """Whether the layer that computes the logits of a loaded classifier has fresh weights."""
    return f"{classification_head(model)[0]}.weight" in model.fresh_parameters


def renew_head(model: PreTrainedModel) -> None:
    """Gives the layer that computes the logits fresh weights, as transformers does for a new classifier."""
    name, head = classification_head(model)
    model.fresh_parameters = sorted({*model.fresh_parameters, f"{name}.weight"})
    torch.nn.init.normal_(head.weight, std=getattr(model.config, "initializer_range", 0.02))
    if head.bias is not None:
        torch.nn.init.zeros_(head.bias)


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
        wanted = (
            f"{manifest.num_labels} classes ({show_names(manifest.label_names)})"
            if manifest.label_names
            else "one (regression)"
        )
        raise UserError(
            f"the {role} has {config.num_labels} outputs, the data wants {wanted}: choose a {role} for this data"
        )
