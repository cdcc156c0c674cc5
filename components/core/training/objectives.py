"""Objectives of a training step: the model's forward pass and its loss."""

from typing import Any, Protocol

import torch

from compaware.components.core.training.losses import distillation_loss, task_loss


class Objective(Protocol):
    """Runs the model on a batch and computes the loss."""

    def __call__(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        labels: torch.Tensor,
        teacher_logits: torch.Tensor | None,
    ) -> tuple[torch.Tensor, Any]:
        """Returns the scalar loss and the model's output, which has `logits`."""
        ...


class LogitObjective:
    """Soft-label distillation if the batch has teacher logits, else the plain task loss.

    Args:
        temperature: See `distillation_loss`.
        alpha: See `distillation_loss`.
    """

    def __init__(self, temperature: float = 2.0, alpha: float = 0.5):
        self.temperature = temperature
        self.alpha = alpha

    def __call__(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        labels: torch.Tensor,
        teacher_logits: torch.Tensor | None,
    ) -> tuple[torch.Tensor, Any]:
        """See `Objective`."""
        output = model(**inputs)
        if teacher_logits is None:
            return task_loss(output["logits"], labels), output
        return distillation_loss(output["logits"], teacher_logits, labels, self.temperature, self.alpha), output
