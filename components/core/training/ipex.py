"""Training with the kernels of Intel Extension for PyTorch (IPEX); see `runtimes.ipex` for what it needs."""

import logging
from typing import TYPE_CHECKING, Literal

from compaware.components.core.base import cpu
from compaware.components.core.base.distributed import device, gather
from compaware.components.core.runtimes.ipex import load_ipex, require, unavailable_reason

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

Backend = Literal["torch", "ipex"]


def choose_backend(asked: str, precision: str) -> Backend:
    """Resolves `auto` for training; where there is a choice, says why on the log.

    Args:
        asked: `auto`, `torch` or `ipex`.
        precision: As the configuration has it, `auto`, `fp32` or `bf16`.

    Raises:
        UserError: `ipex` is asked for where it cannot run.
    """
    precision, _ = cpu.choose_precision(precision)
    if asked == "ipex":
        require(precision)
        return "ipex"
    if asked == "torch" or unavailable_reason() or device().type != "cpu":
        return "torch"
    if all(gather(precision == "bf16" and cpu.has_bf16())):
        log.info("training with ipex: it is installed, and the CPU computes BF16 in hardware")
        return "ipex"
    log.info("training without ipex: it gains nothing in FP32")
    return "torch"


def optimize_training(
    model: "torch.nn.Module", optimizer: "torch.optim.Optimizer", bf16: bool
) -> tuple["torch.nn.Module", "torch.optim.Optimizer"]:
    """Copies of a model and its optimizer that train with IPEX's kernels; before any wrapping by DDP.

    In BF16 the copy's linear layers keep their weights in oneDNN's layout, and the optimizer the FP32 weights that it
    updates; the state dicts of both have plain FP32 ones, so that checkpoints look alike. (In FP32 that layout was
    tried, by `auto_kernel_selection`: steps took as long as with torch's.)
    """
    import torch

    dtype = torch.bfloat16 if bf16 else torch.float32
    # AdamW has no fused step of IPEX's on CPUs; left on, these two only say so.
    unused = {"fuse_update_step": False, "split_master_weight_for_bf16": False}
    return load_ipex().optimize(model.train(), optimizer=optimizer, dtype=dtype, **unused)
