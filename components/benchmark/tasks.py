"""What there is to measure: each candidate in each runtime that can serve it on this CPU, with its files ready."""

import logging
from pathlib import Path

from compaware.components.benchmark.config import BenchmarkConfig, Candidate
from compaware.components.benchmark.inputs import Inputs
from compaware.components.benchmark.pool import Task
from compaware.components.core import runtimes
from compaware.components.core.dataset import PreparedDataset
from compaware.components.core.errors import UserError
from compaware.components.core.models import load_tokenizer
from compaware.components.core.runtimes import Precision, RuntimeName
from compaware.components.core.text import tokenize

log = logging.getLogger(__name__)


def prepare_tasks(config: BenchmarkConfig, dataset: PreparedDataset, work: Path) -> list[Task]:
    """Tokenizes the split with each candidate's tokenizer and converts FP32 weights for the runtimes that want it.

    Args:
        config: The benchmark's.
        dataset: The data.
        work: Folder for inputs and converted forms.

    Raises:
        UserError: A candidate cannot run in any of its runtimes, or has no tokenizer.
    """
    tasks = []
    for candidate in config.candidates:
        pairs = _pairs(candidate)
        folder = work / candidate.name
        folder.mkdir(parents=True, exist_ok=True)
        _save_inputs(candidate, config, dataset, folder / "inputs.npz")
        if any(precision in ("fp32", "bf16") and runtime != "torch" for runtime, precision in pairs):
            log.info("converting %s for OpenVINO and onnxruntime", candidate.name)
            runtimes.convert_fp32(candidate.folder, folder)
        for runtime, precision in pairs:
            converted = runtime != "torch" and precision in ("fp32", "bf16")
            serving = folder if converted else candidate.folder
            files = _files(serving, runtime, precision)
            tasks.append(Task(candidate, runtime, precision, serving, files, folder / "inputs.npz"))
    return tasks


def _pairs(candidate: Candidate) -> list[tuple[RuntimeName, Precision]]:
    found = runtimes.available(candidate.folder)
    wanted = [(name, precision) for name, precision in found if name in (candidate.runtimes or (name,))]
    if not wanted:
        has = ", ".join(f"{precision} in {name}" for name, precision in found) or "no model"
        raise UserError(f"candidate '{candidate.name}' ({candidate.folder}) cannot run as asked: the folder has {has}")
    return wanted


def _save_inputs(candidate: Candidate, config: BenchmarkConfig, dataset: PreparedDataset, file: Path) -> None:
    tokenizer = load_tokenizer(candidate.folder)
    rows = tokenize(dataset.split(config.split), tokenizer, config.max_length_tokens).to_dict()
    names = [name for name in tokenizer.model_input_names if name in rows]
    Inputs.from_rows({name: rows[name] for name in names}, tokenizer.pad_token_id or 0).save(file)


def _files(folder: Path, runtime: RuntimeName, precision: Precision) -> tuple[Path, ...]:
    if runtime == "torch":
        return (folder / "model.safetensors",)
    quantized = precision.startswith("int8")
    if runtime == "onnxruntime":
        return (folder / (runtimes.ONNX_FILE if quantized else runtimes.FP32_ONNX_FILE),)
    graph = folder / (runtimes.OPENVINO_FILE if quantized else runtimes.FP32_OPENVINO_FILE)
    return graph, graph.with_suffix(".bin")
