"""Quantizes a student with other tools: the peers of `int8_speed.py`.

Each peer gets a folder that the benchmark reads as a Model artifact: the student's configuration and tokenizer, and the
peer's INT8 file. The two NNCF peers need `pip install nncf`; training with it compiles C++ once.
"""

import importlib.util
import random
import shutil
from pathlib import Path

import numpy as np
import onnxruntime.quantization
import openvino
import torch

from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.text import table_batches
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.int8.convert import fold_weights
from compaware.components.core.int8.ptq import run_graph
from compaware.components.core.models.load import load_classifier
from compaware.components.core.runtimes.export import export_classifier, export_graph
from compaware.components.core.runtimes.formats import (
    FP32_ONNX_FILE,
    FP32_OPENVINO_FILE,
    ONNX_FILE,
    OPENVINO_FILE,
    OUTPUT_NAME,
)
from compaware.components.core.runtimes.openvino_export import save_openvino
from compaware.components.core.runtimes.predictors import convert_fp32

CALIBRATION_ROWS = 320
QAT_ROWS = 6400
QAT_LEARNING_RATE = 2e-5
MAX_TOKENS = 64
SERVED_TOKENS = 128
Batch = dict[str, np.ndarray]


def make_peers(student: Path, dataset: PreparedDataset, folder: Path) -> list[str]:
    """Quantizes the student with other tools and returns the names of their folders in `folder`."""
    fp32 = folder / "fp32"
    fp32.mkdir(exist_ok=True)
    convert_fp32(student, fp32)
    onnxruntime_dynamic(fp32, peer_folder(student, folder / "onnxruntime_dynamic"))
    calibration = batches(student, dataset, CALIBRATION_ROWS, batch_size=1)
    for batch in calibration:
        del batch["labels"]
    neural_compressor(student, calibration, peer_folder(student, folder / "neural_compressor"))
    names = ["onnxruntime_dynamic", "neural_compressor"]
    if importlib.util.find_spec("nncf"):
        nncf_ptq(fp32, calibration, peer_folder(student, folder / "nncf_ptq"))
        nncf_qat(
            student,
            calibration,
            batches(student, dataset, QAT_ROWS, batch_size=64),
            peer_folder(student, folder / "nncf_qat"),
        )
        names += ["nncf_ptq", "nncf_qat"]
    return names


def onnxruntime_dynamic(fp32: Path, output: Path) -> None:
    """Applies onnxruntime's dynamic quantization to the FP32 ONNX file."""
    # onnxruntime would mistake ONNX's Attention for its own, different operator of that name.
    kinds = ["MatMul", "Gemm", "Gather"]
    onnxruntime.quantization.quantize_dynamic(
        fp32 / FP32_ONNX_FILE, output / ONNX_FILE, op_types_to_quantize=kinds, per_channel=True
    )


def neural_compressor(student: Path, calibration: list[Batch], output: Path) -> None:
    """Applies neural-compressor's static quantization with its defaults, exported by PyTorch and OpenVINO."""
    from neural_compressor.torch.quantization import StaticQuantConfig, convert, prepare

    graph = export_classifier(load_classifier(student))
    # neural-compressor's own `export` would have set these.
    graph._exported, graph.dynamic_shapes = True, None
    prepared = prepare(graph, StaticQuantConfig())
    for batch in calibration:
        run_graph(prepared, batch)
    converted = convert(prepared)
    save_openvino(export_graph(converted, SERVED_TOKENS), output / OPENVINO_FILE)
    program = torch.onnx.export(export_graph(fold_weights(converted), SERVED_TOKENS), output_names=[OUTPUT_NAME])
    program.save(output / ONNX_FILE)


def nncf_ptq(fp32: Path, calibration: list[Batch], output: Path) -> None:
    """Applies NNCF's post-training quantization to the FP32 OpenVINO file."""
    import nncf

    model = openvino.Core().read_model(fp32 / FP32_OPENVINO_FILE)
    quantized = nncf.quantize(model, nncf.Dataset(calibration), model_type=nncf.ModelType.TRANSFORMER)
    openvino.save_model(quantized, output / OPENVINO_FILE)


def nncf_qat(student: Path, calibration: list[Batch], training: list[Batch], output: Path) -> None:
    """Applies NNCF's quantization-aware training on the labels, as its documentation describes."""
    import nncf

    calibration_set = nncf.Dataset([as_tensors(batch) for batch in calibration])
    model = nncf.quantize(load_classifier(student), calibration_set, model_type=nncf.ModelType.TRANSFORMER)
    optimizer = torch.optim.AdamW(model.parameters(), lr=QAT_LEARNING_RATE)
    model.train()
    for batch in map(as_tensors, training):
        labels = batch.pop("labels")
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(**batch).logits, labels).backward()
        optimizer.step()
    model.eval()
    # A trace of a batch without padding would lack the mask.
    example = next(batch for batch in map(as_tensors, training) if not batch["attention_mask"].all())
    del example["labels"]
    converted = openvino.convert_model(nncf.strip(model, example_input=example), example_input=example)
    converted.outputs[0].get_tensor().set_names({OUTPUT_NAME})
    openvino.save_model(converted, output / OPENVINO_FILE, compress_to_fp16=False)


def as_tensors(batch: Batch) -> dict[str, torch.Tensor]:
    """Converts a batch to PyTorch tensors."""
    return {name: torch.from_numpy(column) for name, column in batch.items()}


def peer_folder(student: Path, folder: Path) -> Path:
    """Creates a folder with the student's configuration and tokenizer but without weights."""
    shutil.copytree(student, folder, ignore=shutil.ignore_patterns("*.safetensors", "summary.json"), dirs_exist_ok=True)
    return folder


def batches(student: Path, dataset: PreparedDataset, rows: int, batch_size: int) -> list[Batch]:
    """Returns the first training sentences and labels as batches of similar length, in random order."""
    tokenizer = load_tokenizer(student)
    table = next(dataset.groups("train")).slice(0, rows)
    labels = table.column("label").to_numpy()
    found = table_batches(table, tokenizer, tokenizer.model_input_names, MAX_TOKENS, batch_size)
    made = [batch | {"labels": labels[index]} for index, batch in found]
    random.Random(42).shuffle(made)
    return made
