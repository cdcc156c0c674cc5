"""Task loss and soft-label distillation loss."""

import torch
from torch.nn import functional


def task_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy for classes, binary cross-entropy for multi-label data, mean squared error for regression.

    Args:
        logits: (batch, labels), or (batch, 1) for regression.
        labels: (batch,) int64 class indices, (batch, labels) int64 of 0 and 1 for multi-label data, or (batch,) float
            targets.
    """
    if labels.dim() == 2:
        return functional.binary_cross_entropy_with_logits(logits.float(), labels.float())
    if labels.is_floating_point():
        return functional.mse_loss(logits.squeeze(-1).float(), labels.float())
    return functional.cross_entropy(logits.float(), labels)


def distillation_loss(
    student_logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    labels: torch.Tensor,
    temperature: float,
    alpha: float,
) -> torch.Tensor:
    r"""Soft-label distillation (Hinton, Vinyals and Dean 2015, arXiv:1503.02531, section 2).

    For classes: alpha * T^2 * KL(softmax(teacher / T) || softmax(student / T)) + (1 - alpha) * cross-entropy, the KL
    divergence averaged over the batch. T^2 makes the size of the soft gradients independent of T. Multi-label data
    is a binary problem for each label: sigmoids replace the softmaxes, and the divergence of each label's yes and no is
    averaged over labels, too (the logits part of Yang et al. 2023, arXiv:2308.06453). For regression the soft part is
    the mean squared error to the teacher's output, and T has no effect.

    Args:
        student_logits: (batch, labels).
        teacher_logits: (batch, labels).
        labels: See `task_loss`.
        temperature: T, above 0.
        alpha: Weight of the teacher, 0 to 1.
    """
    hard = task_loss(student_logits, labels)
    if labels.is_floating_point():
        soft = functional.mse_loss(student_logits.float(), teacher_logits.float())
    elif labels.dim() == 2:
        soft = temperature**2 * _binary_divergence(student_logits.float() / temperature, teacher_logits / temperature)
    else:
        soft = temperature**2 * functional.kl_div(
            functional.log_softmax(student_logits.float() / temperature, dim=-1),
            functional.softmax(teacher_logits.float() / temperature, dim=-1),
            reduction="batchmean",
        )
    return alpha * soft + (1 - alpha) * hard


def _binary_divergence(student_logits: torch.Tensor, teacher_logits: torch.Tensor) -> torch.Tensor:
    """Returns the mean over rows and labels of the KL divergence: cross-entropy minus the teacher's entropy."""
    teacher = teacher_logits.float().sigmoid()
    cross_entropy = functional.binary_cross_entropy_with_logits(student_logits, teacher)
    return cross_entropy - functional.binary_cross_entropy_with_logits(teacher_logits.float(), teacher)
