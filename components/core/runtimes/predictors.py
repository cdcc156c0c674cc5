"""Runs saved models in any CPU runtime: NumPy batches in, logits out, with a fixed number of threads.

A folder with `model.safetensors` runs in FP32 (or BF16) in all runtimes; an INT8 folder runs in OpenVINO and
onnxruntime. Each runtime is imported only when a model is opened in it.
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
    """A model that was loaded into a runtime.

    Attributes:
        input_names: Keys that a batch must have; others are ignored.
    """

    input_names: Sequence[str]

    def predict(self, batch: TokenBatch) -> np.ndarray:
        """Token ids, mask and so on, each int64 (batch, sequence) → logits, float32 (batch, labels)."""
        ...


def available(model_folder: str | Path) -> list[tuple[RuntimeName, Precision]]:
    """Returns the installed runtimes and the precisions that can run a folder on this CPU.

    BF16 is listed only if the CPU computes it in hardware. `int8_bf16` is OpenVINO's INT8 with the rest in BF16. IPEX
    quantizes FP32 weights to INT8 itself. Its environment has an older torch, whose graphs the other runtimes cannot
    convert: there they run INT8 files only.
    """
    folder = Path(model_folder)
    pairs: list[tuple[RuntimeName, Precision]] = []
    if (folder / "model.safetensors").is_file():
        pairs += [("torch", "fp32"), ("openvino", "fp32"), ("onnxruntime", "fp32"), ("ipex", "fp32"), ("ipex", "int8")]
        pairs += [("torch", "bf16"), ("openvino", "bf16")] if cpu.has_bf16() else []
    if (folder / OPENVINO_FILE).is_file():
        pairs += [("openvino", "int8")]
        pairs += [("openvino", "int8_bf16")] if cpu.has_bf16() else []
    if (folder / ONNX_FILE).is_file():
        pairs += [("onnxruntime", "int8")]
    return [(runtime, precision) for runtime, precision in pairs if _is_installed(runtime, precision)]


def _is_installed(runtime: RuntimeName, precision: Precision) -> bool:
    if runtime == "ipex":
        return ipex.unavailable_reason() is None
    # FP32 weights are converted by the newer torch, whose environment has torchao.
    needed = {runtime} if runtime == "torch" or precision.startswith("int8") else {runtime, "torchao"}
    return all(importlib.util.find_spec(name) for name in needed)


def int8_runtime() -> tuple[RuntimeName, str]:
    """Returns the runtime to serve INT8 with on this CPU, and the reason."""
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
        runtime: Runtime to load it into.
        precision: `fp32` and `bf16` for weights in `model.safetensors`, `int8` and `int8_bf16` for INT8 files.
        threads: Threads of the runtime; all that this process may use if not given.
        calibration: For IPEX's INT8, batches of typical inputs; the files of other runtimes have their ranges.
        device: Device of PyTorch; the other runtimes use the CPU.

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
    raise UserError(f"{runtime} does not run {precision}: choose from {_format_pairs(available(folder))}")


def convert_fp32(model_folder: str | Path, destination: Path) -> None:
    """Converts an FP32 model to the files that OpenVINO and onnxruntime serve.

    Args:
        model_folder: A Model artifact with `model.safetensors`.
        destination: An existing folder, which `open_runtime` accepts in place of the model's folder.
    """
    from compaware.components.core.models.load import load_trained

    save_fp32_files(load_trained(model_folder), destination)


def save_fp32_files(model: "PreTrainedModel", destination: Path) -> None:
    """Does the same as `convert_fp32` for a loaded model."""
    from compaware.components.core.models.pairing import input_names, max_sequence_tokens
    from compaware.components.core.runtimes.export import export_program
    from compaware.components.core.runtimes.onnx_export import save_onnx
    from compaware.components.core.runtimes.openvino_export import save_openvino

    program = export_program(model)
    save_openvino(program, destination / FP32_OPENVINO_FILE)
    save_onnx(program, input_names(model), max_sequence_tokens(model.config), destination / FP32_ONNX_FILE)


class TorchPredictor:
    """Runs a model in eager PyTorch."""

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
    """Runs a model in OpenVINO: the IR of an INT8 folder, or FP32 weights that are converted on loading."""

    def __init__(self, folder: Path, precision: Precision, threads: int):
        compiled = compile_openvino(folder, precision, threads, {"NUM_STREAMS": 1})
        self._request = compiled.create_infer_request()
        self.input_names: Sequence[str] = [port.get_any_name() for port in compiled.inputs]

    def predict(self, batch: TokenBatch) -> np.ndarray:
        """See `Predictor`."""
        result = self._request.infer({name: batch[name] for name in self.input_names}, share_inputs=True)
        return np.array(result[0], np.float32)


def compile_openvino(folder: Path, precision: Precision, threads: int, settings: dict[str, Any]) -> Any:
    """Returns the compiled model of a folder.

    Args:
        folder: A Model artifact.
        precision: `fp32`, `bf16`, `int8` or `int8_bf16`.
        threads: Threads of all streams together.
        settings: Further properties, which decide the number of streams.
    """
    import openvino

    hint = "bf16" if precision.endswith("bf16") else "f32"
    common = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": hint}
    try:
        return openvino.Core().compile_model(_openvino_model(folder, precision), "CPU", common | settings)
    except RuntimeError as error:
        raise UserError(f"OpenVINO cannot load {folder}: {_last_line(error)}") from error


def _openvino_model(folder: Path, precision: Precision) -> Any:
    if precision.startswith("int8"):
        return _require_file(folder, OPENVINO_FILE, "openvino", precision)
    if (folder / FP32_OPENVINO_FILE).is_file():
        return str(folder / FP32_OPENVINO_FILE)
    import openvino

    from compaware.components.core.models.load import load_trained
    from compaware.components.core.runtimes.export import export_program

    return openvino.convert_model(export_program(load_trained(folder)))


class OnnxPredictor:
    """Runs a model in onnxruntime: the file of an INT8 folder, or FP32 weights that are exported on loading."""

    def __init__(self, folder: Path, precision: Precision, threads: int):
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin between calls would take CPU time from other processes.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if precision == "int8":
            model: str | bytes = _require_file(folder, ONNX_FILE, "onnxruntime", precision)
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


def _require_file(folder: Path, name: str, runtime: RuntimeName, precision: Precision) -> str:
    if not (folder / name).is_file():
        pairs = _format_pairs(available(folder))
        raise UserError(f"{folder} has no {name}, so {runtime} cannot run it in {precision}: choose from {pairs}")
    return str(folder / name)


def _format_pairs(pairs: list[tuple[RuntimeName, Precision]]) -> str:
    return ", ".join(f"{precision} in {runtime}" for runtime, precision in pairs) or "nothing that runs"


def _last_line(error: Exception) -> str:
    """Returns the last line of a runtime's message, which gives the reason after the lines of its call stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
