"""Serves models with Intel Extension for PyTorch (IPEX), where it is installed.

Its last release needs torch 2.8, so it has its own environment (extra `ipex`, image compaware/trainer-ipex). Call
`unavailable_reason` before importing it: with another torch version, or without AVX2, the import raises an error or
ends the process.
"""

import logging
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compaware.components.core.base import cpu
from compaware.components.core.base.errors import UserError
from compaware.components.core.runtimes.formats import TokenBatch

if TYPE_CHECKING:
    import torch

_DISTRIBUTION = "intel-extension-for-pytorch"
log = logging.getLogger(__name__)


def unavailable_reason() -> str | None:
    """Returns why IPEX cannot run here; None if it can."""
    try:
        ipex_version, torch_version = version(_DISTRIBUTION), version("torch")
    except PackageNotFoundError:
        return f"{_DISTRIBUTION} is not installed: use the image compaware/trainer-ipex, or the extra `ipex`"
    if _minor(ipex_version) != _minor(torch_version):
        return f"{_DISTRIBUTION} {ipex_version} does not run with torch {torch_version}: install only the extra `ipex`"
    if "avx2" not in cpu.flags():
        return f"the CPU ({cpu.model_name()}) has no AVX2"
    return None


def require(precision: str = "fp32") -> None:
    """Checks that IPEX can run here.

    Raises:
        UserError: IPEX is not installed, or the CPU lacks instructions that IPEX or the precision needs.
    """
    reason = unavailable_reason()
    if reason:
        raise UserError(f"ipex cannot run here: {reason}")
    if precision == "bf16" and "avx512f" not in cpu.flags():
        raise UserError(
            f"ipex computes BF16 with AVX-512 or AMX, but the CPU ({cpu.model_name()}) has {', '.join(cpu.flags())}: "
            "use precision=fp32"
        )


class IpexPredictor:
    """Runs a classifier with IPEX's kernels, traced and frozen: in FP32, or in INT8 by IPEX's static quantization.

    Each process traces the model itself: a saved INT8 trace loads without IPEX, too, and then gives other logits.

    Args:
        folder: A Model artifact with `model.safetensors`.
        precision: `fp32` or `int8`.
        threads: Threads of the process.
        calibration: For INT8, batches of typical inputs, each int64 (batch, sequence), to observe ranges on.

    Raises:
        UserError: IPEX cannot run here, or cannot trace the model.
    """

    def __init__(self, folder: Path, precision: str, threads: int, calibration: Sequence[TokenBatch] = ()):
        require()
        import torch

        from compaware.components.core.models.first_token import use_first_token_only
        from compaware.components.core.models.load import load_trained
        from compaware.components.core.models.pairing import input_names
        from compaware.components.core.runtimes.export import LogitsOnly, example_inputs

        torch.set_num_threads(threads)
        model = load_trained(folder).eval()
        # Decoders would cache keys and values for the next token.
        model.config.use_cache = False
        self.input_names: Sequence[str] = input_names(model)
        if precision == "fp32":
            # Not for INT8: IPEX's quantization loses ten points of accuracy on such a layer.
            use_first_token_only(model)
        wrapped = LogitsOnly(model).eval()
        example = tuple(example_inputs(list(self.input_names)).values())
        try:
            with torch.no_grad():
                optimized = (
                    _optimized(wrapped) if precision == "fp32" else self._quantized(wrapped, example, calibration)
                )
                self._model = torch.jit.freeze(torch.jit.trace(optimized, example, check_trace=False))
                # The first two calls record shapes and fuse operators.
                for _ in range(2):
                    self._model(*example)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise UserError(f"ipex cannot run {folder} in {precision} ({reason}): choose other runtimes") from error

    def predict(self, batch: TokenBatch) -> np.ndarray:
        """See `Predictor`."""
        import torch

        with torch.no_grad():
            return self._model(*self._tensors(batch)).numpy()

    def _quantized(
        self, model: "torch.nn.Module", example: "tuple[torch.Tensor, ...]", calibration: Sequence[TokenBatch]
    ) -> "torch.nn.Module":
        quantization = load_ipex().quantization
        observers = quantization.default_static_qconfig_mapping
        prepared = quantization.prepare(model, observers, example_inputs=example, inplace=True)
        for batch in calibration:
            prepared(*self._tensors(batch))
        return quantization.convert(prepared)

    def _tensors(self, batch: TokenBatch) -> "list[torch.Tensor]":
        import torch

        return [torch.from_numpy(batch[name]) for name in self.input_names]


def _optimized(model: "torch.nn.Module") -> "torch.nn.Module":
    """Selects the fastest kernel for each linear layer; without this, IPEX is no faster than eager PyTorch."""
    import torch

    return load_ipex().optimize(model, dtype=torch.float32, auto_kernel_selection=True, inplace=True)


def load_ipex() -> Any:
    """Imports IPEX and turns off its advice on the log."""
    import intel_extension_for_pytorch

    # After the import, which replaces the logger's class.
    logging.getLogger("IPEX").setLevel(logging.ERROR)
    return intel_extension_for_pytorch


def _minor(full_version: str) -> list[str]:
    return full_version.split(".")[:2]
