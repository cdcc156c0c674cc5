"""Trains with the kernels of Intel Extension for PyTorch (IPEX); see `runtimes.ipex` for its requirements."""

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
    """Resolves the backend `auto` for training, and logs the reason if IPEX is available.

    Args:
        asked: `auto`, `torch` or `ipex`.
        precision: Precision of the configuration: `auto`, `fp32` or `bf16`.

    Raises:
        UserError: The backend is `ipex`, but IPEX cannot run here.
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
    log.info("training without ipex: it is not faster in FP32")
    return "torch"


def optimize_training(
    model: "torch.nn.Module", optimizer: "torch.optim.Optimizer", bf16: bool
) -> tuple["torch.nn.Module", "torch.optim.Optimizer"]:
    """Returns copies of a model and its optimizer that train with IPEX's kernels; call it before DDP wraps the model.

    In BF16 the copy's linear layers hold weights in oneDNN's layout, and the optimizer holds the FP32 weights that it
    updates; the state dicts of both have plain FP32 weights, so checkpoints do not depend on the backend. (In FP32 this
    layout, set by `auto_kernel_selection`, made steps no faster.)
    """
    import torch

    dtype = torch.bfloat16 if bf16 else torch.float32
    # IPEX has no fused AdamW step for CPUs and would warn about these two options.
    unused = {"fuse_update_step": False, "split_master_weight_for_bf16": False}
    return load_ipex().optimize(model.train(), optimizer=optimizer, dtype=dtype, **unused)
