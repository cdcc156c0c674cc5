"""The saved files are small, compute in INT8, and have the logits of their graph."""

from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest

from compaware.components.core.int8.ptq import run_graph
from compaware.components.core.runtimes.formats import ONNX_FILE, OPENVINO_FILE, RuntimeName
from compaware.components.core.runtimes.predictors import available, open_runtime
from tests.components.core.int8.small_models import VOCABULARY, ServedModel, batch


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_saved_files_have_the_graphs_logits_for_any_batch_and_length(served: ServedModel, runtime: RuntimeName) -> None:
    predictor = open_runtime(served.folder, runtime, "int8", threads=1)
    assert list(predictor.input_names) == ["input_ids", "attention_mask", "token_type_ids"]
    for rows, tokens in ((1, 2), (7, 33), (32, 64)):
        inputs = batch(rows, tokens, seed=rows)
        expected, answer = run_graph(served.tuned.graph, inputs), predictor.predict(inputs)
        assert answer.shape == expected.shape and answer.dtype == np.float32
        # Rounding differs: an activation on the border of two bytes may fall to either.
        assert np.corrcoef(answer.ravel(), expected.ravel())[0, 1] > 0.999


def test_files_hold_no_fp32_copies(served: ServedModel) -> None:
    onnx_bytes = (served.folder / ONNX_FILE).stat().st_size
    weights = (served.folder / OPENVINO_FILE).with_suffix(".bin")
    assert onnx_bytes < served.fp32_bytes / 2.5
    assert weights.stat().st_size < served.fp32_bytes / 3
    tensors = onnx.load(served.folder / ONNX_FILE).graph.initializer
    matrices = [tensor for tensor in tensors if len(tensor.dims) == 2 and min(tensor.dims) > 1]
    # The rest are ids, a number for each position or segment.
    matrices = [tensor for tensor in matrices if tensor.data_type != onnx.TensorProto.INT64]
    assert len(matrices) == 14 + 3
    assert {item.data_type for item in matrices} == {onnx.TensorProto.INT8}


def test_openvino_multiplies_in_int8(served: ServedModel) -> None:
    compiled = openvino.Core().compile_model(str(served.folder / OPENVINO_FILE), "CPU")
    kinds = [
        node.get_rt_info()["runtimePrecision"].astype(str)
        for node in compiled.get_runtime_model().get_ordered_ops()
        if node.get_rt_info()["layerType"].astype(str) == "FullyConnected"
    ]
    assert kinds == ["u8"] * 14


def test_onnxruntime_multiplies_in_int8(served: ServedModel, tmp_path: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(served.folder / ONNX_FILE), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "optimized.onnx").graph
    operators = [node.op_type for node in graph.node]
    # Biases of this fresh model's pooler and head are zero, and left out: onnxruntime has another operator for those.
    assert (operators.count("MatMulIntegerToFloat"), operators.count("QGemm")) == (12, 2)
    assert not {"MatMul", "Gemm", "FusedGemm", "DequantizeLinear"} & set(operators)
    looked_up = {node.input[0] for node in graph.node if node.op_type == "Gather"}
    rows_of_bytes = [
        tensor.dims[0]
        for tensor in graph.initializer
        if tensor.name in looked_up and tensor.data_type == onnx.TensorProto.INT8
    ]
    assert rows_of_bytes == [VOCABULARY], "positions and segments are FP32 once the file is loaded, words are not"


def test_no_two_products_add_up_to_more_than_16_bits(served: ServedModel) -> None:
    graph = onnx.load(served.folder / ONNX_FILE).graph
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = [tensors[node.input[1]] for node in graph.node if node.op_type == "MatMulIntegerToFloat"]
    assert len(weights) == 12
    for weight in weights:
        pairs = weight.astype(int).reshape(-1, 2, weight.shape[1])
        largest = 255 * np.maximum(pairs, 0).sum(1).max(), 255 * np.minimum(pairs, 0).sum(1).min()
        assert np.iinfo(np.int16).min <= largest[1] and largest[0] <= np.iinfo(np.int16).max


def test_an_int8_folder_runs_in_int8_only(served: ServedModel) -> None:
    assert {"int8", "int8_bf16"} >= {precision for _, precision in available(served.folder)}
    assert {runtime for runtime, _ in available(served.folder)} == {"openvino", "onnxruntime"}
