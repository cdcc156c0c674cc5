"""Masks that keep pruned weights at zero while a model trains.

A mask is a boolean tensor, True where a weight is kept, under the parameter's name in `named_parameters()`.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from compaware.components.core.base.errors import UserError
from compaware.components.core.models.families import limitation

# A matrix with a larger fraction of exact zeros than this has been pruned.
_SPARSE_FROM = 0.05
_NEVER_PRUNED = ("*embed*", "*pooler*")


def prunable_parameters(model: PreTrainedModel, exclude: Sequence[str] = ()) -> dict[str, Tensor]:
    """Returns the weights of the encoder's linear layers, by parameter name.

    Classifier heads, embeddings and poolers are left out.

    Args:
        model: A Hugging Face classifier.
        exclude: More modules to leave out: shell patterns of module names, such as '*.layer.0.*'.

    Raises:
        UserError: A pattern of `exclude` matches no layer, or no layer is left.
    """
    linears = {
        name: module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and name.startswith(f"{model.base_model_prefix}.")
        and not any(fnmatchcase(name, pattern) for pattern in _NEVER_PRUNED)
    }
    if not linears:
        reason = limitation(model.config.model_type, "sparsity") or "use another model"
        raise UserError(f"{type(model).__name__} has no linear layers in its encoder to prune: {reason}")
    for pattern in exclude:
        if not any(fnmatchcase(name, pattern) for name in linears):
            raise UserError(
                f"exclude '{pattern}' matches no linear layer of the encoder: use names such as {min(linears)}"
            )
    kept = {n: w for n, w in linears.items() if not any(fnmatchcase(n, pattern) for pattern in exclude)}
    if not kept:
        raise UserError("exclude leaves no layer to prune: shorten it")
    return {f"{name}.weight": weight for name, weight in kept.items()}


def masks_of_zeros(model: nn.Module) -> dict[str, Tensor]:
    """Returns masks of the exact zeros in all matrices of a sparse model; no masks for a dense model.

    A model is sparse if any of its matrices has more than 5 % zeros.
    """
    zeros = {name: weight.detach() == 0 for name, weight in model.named_parameters() if weight.dim() >= 2}
    if not any(zero.float().mean() > _SPARSE_FROM for zero in zeros.values()):
        return {}
    return {name: ~zero for name, zero in zeros.items() if zero.any()}


def zero_fraction(tensors: Mapping[str, Tensor]) -> float:
    """Returns the fraction of zeros (or of False) in all tensors together."""
    return sum(int((t == 0).sum()) for t in tensors.values()) / sum(t.numel() for t in tensors.values())


class MaskLock(TrainerCallback):
    """Keeps masked weights at zero: it sets them to zero after every optimizer step.

    Their gradients are masked, too, so that no momentum builds up. Pass it to `Trainer(callbacks=[...])`; it finds the
    parameters by name in the model that Trainer trains. Every rank does the same, and a resumed run needs no state.

    Example:
        >>> lock = MaskLock(masks_of_zeros(model))  # doctest: +SKIP
        >>> Trainer(model, callbacks=[lock], ...).train()  # doctest: +SKIP
    """

    def __init__(self, masks: Mapping[str, Tensor]):
        self.masks = dict(masks)
        self._weights: dict[str, Tensor] = {}

    def attach(self, model: nn.Module) -> None:
        """Finds the masked parameters in a model and sets the masked weights to zero.

        Raises:
            KeyError: The model has no parameter with the name of a mask.
        """
        parameters = dict(model.named_parameters())
        self._weights = {name: parameters[name] for name in self.masks}
        self.masks = {name: mask.to(self._weights[name].device) for name, mask in self.masks.items()}
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """Sets the masked weights to zero."""
        for name, mask in self.masks.items():
            self._weights[name].mul_(mask)

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Sets the gradients of masked weights to zero."""
        for name, mask in self.masks.items():
            gradient = self._weights[name].grad
            if gradient is not None:
                gradient.mul_(mask)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Attaches to the model, which has the checkpoint's weights in a resumed run."""
        self.attach(kwargs["model"])

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Masks the gradients."""
        self.mask_gradients()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Sets the masked weights to zero again."""
        self.apply()
