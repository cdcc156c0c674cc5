"""One way to run a saved model on any CPU runtime: NumPy batches in, logits out, with a fixed number of threads.

A folder with `model.safetensors` runs in FP32 (or BF16) everywhere; an INT8 folder runs where its two public files
do. Each runtime is imported only when it is asked for.
"""

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from compaware.components.core.base import cpu
from compaware.components.core.base.errors import UserError
from compaware.components.core.runtimes import ipex
from compaware.components.core.runtimes.formats import (
    FP32_ONNX_FILE,
    FP32_OPENVINO_FILE,
    ONNX_FILE,
    OPENVINO_FILE,
    OUTPUT_NAME,
    Precision,
    RuntimeName,
    TokenBatch,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Predictor(Protocol):
    """A model in a runtime.

    Attributes:
        input_names: Keys that a batch must have; others are ignored.
    """

    input_names: Sequence[str]

    def predict(self, batch: TokenBatch) -> np.ndarray:
        """Token ids, mask and so on, each int64 (batch, sequence) → logits, float32 (batch, labels)."""
        ...


def available(model_folder: str | Path) -> list[tuple[RuntimeName, Precision]]:
    """Runtimes and precisions that make sense for a folder on this CPU and are installed.

    BF16 only where the CPU has it in hardware. `int8_bf16` is OpenVINO's INT8 with the rest in BF16. IPEX makes its
    INT8 of FP32 weights. Its environment has an older torch, whose graphs the other runtimes do not take: there they
    run INT8 files alone.
    """
    folder = Path(model_folder)
    found: list[tuple[RuntimeName, Precision]] = []
    if (folder / "model.safetensors").is_file():
        found += [("torch", "fp32"), ("openvino", "fp32"), ("onnxruntime", "fp32"), ("ipex", "fp32"), ("ipex", "int8")]
        found += [("torch", "bf16"), ("openvino", "bf16")] if cpu.has_bf16() else []
    if (folder / OPENVINO_FILE).is_file():
        found += [("openvino", "int8")]
        found += [("openvino", "int8_bf16")] if cpu.has_bf16() else []
    if (folder / ONNX_FILE).is_file():
        found += [("onnxruntime", "int8")]
    return [(runtime, precision) for runtime, precision in found if _can(runtime, precision)]


def _can(runtime: RuntimeName, precision: Precision) -> bool:
    if runtime == "ipex":
        return ipex.missing() is None
    # torchao is where the torch is that FP32 weights are converted with.
    needed = {runtime} if runtime == "torch" or precision.startswith("int8") else {runtime, "torchao"}
    return all(importlib.util.find_spec(name) for name in needed)


def int8_runtime() -> tuple[RuntimeName, str]:
    """The runtime to serve INT8 with on this CPU, and why."""
    if cpu.has_vnni():
        return "openvino", "the CPU has INT8 dot products (VNNI or AMX)"
    return "onnxruntime", "the CPU has no INT8 dot products (VNNI), where OpenVINO's INT8 is slower than its FP32"


def open_runtime(
    model_folder: str | Path,
    runtime: RuntimeName = "torch",
    precision: Precision = "fp32",
    threads: int | None = None,
    calibration: Sequence[TokenBatch] = (),
    device: str = "cpu",
) -> Predictor:
    """Loads a model folder into a runtime.

    Args:
        model_folder: A Model artifact.
        runtime: Where to run it.
        precision: `fp32` and `bf16` for weights in `model.safetensors`, `int8` and `int8_bf16` for INT8 files.
        threads: Threads of the runtime; those that this process may use when not given.
        calibration: For IPEX's INT8, batches of typical inputs; the others have their ranges in their files.
        device: Where PyTorch computes; the others use the CPU.

    Raises:
        UserError: The folder has no file for this runtime and precision, or the file is corrupt.
    """
    folder = Path(model_folder)
    count = threads or cpu.threads()
    if runtime == "torch" and precision in ("fp32", "bf16"):
        return TorchPredictor(folder, precision == "bf16", count, device)
    if runtime == "openvino":
        return OpenVinoPredictor(folder, precision, count)
    if runtime == "onnxruntime" and precision in ("fp32", "int8"):
        return OnnxPredictor(folder, precision, count)
    if runtime == "ipex" and (precision == "fp32" or (precision == "int8" and calibration)):
        return ipex.IpexPredictor(folder, precision, count, calibration)
    raise UserError(f"{runtime} does not run {precision}: choose from {_listed(available(folder))}")


def convert_fp32(model_folder: str | Path, destination: Path) -> None:
    """Writes the FP32 forms that OpenVINO and onnxruntime serve.

    Args:
        model_folder: A Model artifact with `model.safetensors`.
        destination: An existing folder, which `open_runtime` then takes in place of the model's.
    """
    from compaware.components.core.models.load import load_trained

    save_fp32_files(load_trained(model_folder), destination)


def save_fp32_files(model: "PreTrainedModel", destination: Path) -> None:
    """Does so with a model that is loaded."""
    from compaware.components.core.models.pairing import input_names, max_sequence_tokens
    from compaware.components.core.runtimes.export import export_program
    from compaware.components.core.runtimes.onnx_export import save_onnx
    from compaware.components.core.runtimes.openvino_export import save_openvino

    program = export_program(model)
    save_openvino(program, destination / FP32_OPENVINO_FILE)
    save_onnx(program, input_names(model), max_sequence_tokens(model.config), destination / FP32_ONNX_FILE)


class TorchPredictor:
    """PyTorch, eager."""

    def __init__(self, folder: Path, bf16: bool, threads: int, device: str):
        import torch

        from compaware.components.core.models.load import load_trained
        from compaware.components.core.models.pairing import input_names

        torch.set_num_threads(threads)
        model = load_trained(folder).eval().to(device)
        for parameter in model.parameters() if bf16 else ():  # Not the buffers: rotary frequencies need FP32.
            parameter.data = parameter.data.to(torch.bfloat16)
        self._model = model
        self.input_names: Sequence[str] = input_names(model)

    def predict(self, batch: TokenBatch) -> np.ndarray:
        """See `Predictor`."""
        import torch

        with torch.inference_mode():
            inputs = {name: torch.from_numpy(batch[name]).to(self._model.device) for name in self.input_names}
            output = self._model(**inputs)
        return output.logits.float().cpu().numpy()


class OpenVinoPredictor:
    """OpenVINO: the IR of an INT8 folder, or FP32 weights converted on the fly."""

    def __init__(self, folder: Path, precision: Precision, threads: int):
        import openvino

        hint = "bf16" if precision.endswith("bf16") else "f32"
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": hint}
        try:
            compiled = openvino.Core().compile_model(self._model(folder, precision), "CPU", settings)
        except RuntimeError as error:
            raise UserError(f"OpenVINO cannot load {folder}: {_last_line(error)}") from error
        self._request = compiled.create_infer_request()
        self.input_names: Sequence[str] = [port.get_any_name() for port in compiled.inputs]

    @staticmethod
    def _model(folder: Path, precision: Precision) -> Any:
        if precision.startswith("int8"):
            return _existing(folder, OPENVINO_FILE, "openvino", precision)
        if (folder / FP32_OPENVINO_FILE).is_file():
            return str(folder / FP32_OPENVINO_FILE)
        import openvino

        from compaware.components.core.models.load import load_trained
        from compaware.components.core.runtimes.export import export_program

        return openvino.convert_model(export_program(load_trained(folder)))

    def predict(self, batch: TokenBatch) -> np.ndarray:
        """See `Predictor`."""
        result = self._request.infer({name: batch[name] for name in self.input_names}, share_inputs=True)
        return np.array(result[0], np.float32)


class OnnxPredictor:
    """onnxruntime: the file of an INT8 folder, or FP32 weights exported on the fly."""

    def __init__(self, folder: Path, precision: Precision, threads: int):
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Between calls a spinning pool would only burn the CPU that others want.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if precision == "int8":
            model: str | bytes = _existing(folder, ONNX_FILE, "onnxruntime", precision)
        elif (folder / FP32_ONNX_FILE).is_file():
            model = str(folder / FP32_ONNX_FILE)
        else:
            model = _exported_onnx(folder)
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except (errors.Fail, errors.InvalidProtobuf, errors.InvalidGraph) as error:
            raise UserError(f"onnxruntime cannot load {folder}: {_last_line(error)}") from error
        self.input_names: Sequence[str] = [item.name for item in self._session.get_inputs()]

    def predict(self, batch: TokenBatch) -> np.ndarray:
        """See `Predictor`."""
        logits = self._session.run([OUTPUT_NAME], {name: batch[name] for name in self.input_names})[0]
        return np.asarray(logits, np.float32)


def _exported_onnx(folder: Path) -> bytes:
    from compaware.components.core.models.load import load_trained
    from compaware.components.core.models.pairing import input_names, max_sequence_tokens
    from compaware.components.core.runtimes.export import export_program
    from compaware.components.core.runtimes.onnx_export import save_onnx

    model = load_trained(folder)
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "model.onnx"
        save_onnx(export_program(model), input_names(model), max_sequence_tokens(model.config), file)
        return file.read_bytes()


def _existing(folder: Path, name: str, runtime: RuntimeName, precision: Precision) -> str:
    if not (folder / name).is_file():
        has = _listed(available(folder))
        raise UserError(f"{folder} has no {name}, so {runtime} cannot run it in {precision}: it has {has}")
    return str(folder / name)


def _listed(pairs: list[tuple[RuntimeName, Precision]]) -> str:
    return ", ".join(f"{precision} in {runtime}" for runtime, precision in pairs) or "nothing that runs"


def _last_line(error: Exception) -> str:
    """Returns the last line of a runtime's message, which gives the reason after the lines of its call stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
