"""Chooses the precision of a training: BF16 if the hardware computes it and gives the same loss, else FP32."""

from typing import Any, Literal

import torch

from compaware.components.core.base import cpu
from compaware.components.core.training.objectives import Objective

TrainingPrecision = Literal["fp32", "bf16"]
# BF16 has 8 significant bits, so the second digit of a sound model's loss may change.
_RELATIVE, _ABSOLUTE = 0.05, 0.01


def choose_training_precision(
    asked: str, model: torch.nn.Module, batch: dict[str, torch.Tensor], objective: Objective
) -> tuple[TrainingPrecision, str]:
    """Resolves the precision `auto`.

    Args:
        asked: `auto`, `fp32` or `bf16`.
        model: A model on the CPU, where the losses are compared; without effect if a GPU trains.
        batch: A first batch of training rows, as `text.Collator` makes it.
        objective: Computes the loss.

    Returns:
        The precision, and the reason for log and report.
    """
    if asked == "auto" and torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", "the GPU computes BF16 in hardware"
        return "fp32", "the GPU has no BF16 hardware"
    precision, reason = cpu.choose_precision(asked)
    if asked == "auto" and precision == "bf16":
        full, half = (_loss(model, batch, objective, autocast) for autocast in (False, True))
        compared = f"{half:.4f} against {full:.4f} in FP32 for the first batch"
        # NaN must not count as agreement.
        if not abs(half - full) <= _ABSOLUTE + _RELATIVE * abs(full):
            return "fp32", f"{reason}, but the loss differs: {compared}"
        return "bf16", f"{reason}, and the loss agrees: {compared}"
    return ("bf16" if precision == "bf16" else "fp32"), reason


def _loss(model: torch.nn.Module, batch: dict[str, torch.Tensor], objective: Objective, autocast: bool) -> float:
    inputs: dict[str, Any] = dict(batch)
    labels, teacher_logits = inputs.pop("labels"), inputs.pop("teacher_logits", None)
    training = model.training
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss, _ = objective(model, inputs, labels, teacher_logits)
    model.train(training)
    return loss.item()
