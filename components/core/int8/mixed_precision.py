"""Mixed-precision statistics: the precision in which a runtime computes the operators of a model.

A runtime does not always compute in the precision of the file: onnxruntime converts small tables to FP32 on loading,
OpenVINO all tables, and a product that a runtime cannot fuse is computed in FP32 with its weights dequantized at every
call. So the operators are counted in the graphs that the runtimes have optimized.
"""

import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import onnx_ir
import torch

from compaware.components.core.runtimes.formats import ONNX_FILE, OPENVINO_FILE, RuntimeName

_ATEN = torch.ops.aten
_KINDS: dict[Any, str] = {
    _ATEN.embedding.default: "Embedding",
    _ATEN.linear.default: "Linear",
    _ATEN.matmul.default: "MatMul",
    _ATEN.bmm.default: "MatMul",
    _ATEN.scaled_dot_product_attention.default: "Attention",
    _ATEN.layer_norm.default: "LayerNorm",
    _ATEN.rms_norm.default: "RMSNorm",
    _ATEN.softmax.int: "Softmax",
    _ATEN.gelu.default: "GELU",
    _ATEN.silu.default: "SiLU",
    _ATEN.relu.default: "ReLU",
    _ATEN.tanh.default: "Tanh",
    _ATEN.sigmoid.default: "Sigmoid",
}
# Operators that occur once in a module of several operators → kind of the module.
_UNIQUE_OPERATORS: dict[Any, str] = {
    _ATEN.rsqrt.default: "RMSNorm",
    _ATEN.tanh.default: "GELU",
    _ATEN.sigmoid.default: "GELU",
}
# onnxruntime's INT8 products → index of the input that is the weight of a linear layer.
_INT8_PRODUCTS = {
    "MatMulIntegerToFloat": 1,
    "MatMulInteger": 1,
    "DynamicQuantizeMatMul": 1,
    "QGemm": 3,
    "QLinearMatMul": 3,
}
_OPENVINO_KINDS = {"FullyConnected": "Linear", "MatMul": "MatMul", "Gather": "Embedding"}
COLUMNS = ("op_type", "total", "int8", "bf16", "fp32")


def count_by_precision(graph: torch.fx.GraphModule, folder: Path, runtime: RuntimeName) -> list[dict[str, Any]]:
    """Counts a model's operators by type and by the precision that a runtime computes them in.

    Args:
        graph: The exported graph, in INT8 or FP32.
        folder: Folder with the graph's ONNX and OpenVINO files.
        runtime: `onnxruntime` or `openvino`. Both compute everything else in FP32, or once on loading.

    Returns:
        One row for each type, with the keys `COLUMNS`, in the order of `_KINDS`.
    """
    totals = Counter(kind for node in graph.graph.nodes if (kind := _kind(node)))
    in_int8 = _int8_in_onnxruntime(folder) if runtime == "onnxruntime" else _int8_in_openvino(folder)
    rows = []
    for kind in dict.fromkeys(_KINDS.values()):
        if total := totals[kind]:
            int8 = min(in_int8[kind], total)
            rows.append({"op_type": kind, "total": total, "int8": int8, "bf16": 0, "fp32": total - int8})
    return rows


def _kind(node: torch.fx.Node) -> str | None:
    """Returns the type of an operator, or of the module that it identifies; None if it is not counted."""
    if node.op != "call_function":
        return None
    modules = node.meta.get("nn_module_stack") or {}
    module = str([*modules.values()][-1][1]).rpartition(".")[2] if modules else ""
    module_kind = _UNIQUE_OPERATORS.get(node.target)
    if module_kind and module_kind.lower() in module.lower():
        return module_kind
    return _KINDS.get(node.target)


def _int8_in_onnxruntime(folder: Path) -> Counter[str]:
    import onnxruntime

    with tempfile.TemporaryDirectory() as temporary:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = f"{temporary}/optimized.onnx"
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(folder / ONNX_FILE), options, providers=["CPUExecutionProvider"])
        nodes = list(onnx_ir.load(options.optimized_model_filepath).graph)
    counts = Counter[str]()
    for node in nodes:
        if node.op_type in _INT8_PRODUCTS:
            weight = node.inputs[_INT8_PRODUCTS[node.op_type]]
            counts["Linear" if weight is not None and weight.const_value is not None else "MatMul"] += 1
        elif node.op_type == "Gather" and node.inputs[0] is not None:
            counts["Embedding"] += node.inputs[0].dtype == onnx_ir.DataType.INT8
    return counts


def _int8_in_openvino(folder: Path) -> Counter[str]:
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(folder / OPENVINO_FILE), "CPU", settings)
    names_by_kind: dict[str, set[str]] = {kind: set() for kind in _OPENVINO_KINDS.values()}
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = {name: node.get_rt_info()[name].astype(str) for name in ("layerType", "runtimePrecision")}
        kind = _OPENVINO_KINDS.get(info["layerType"])
        if kind is None or info["runtimePrecision"] not in ("i8", "u8"):
            continue
        # Names of the fused layers, such as `linear_3/aten.linear.default/MatMul`; a layer may become two nodes.
        names = node.get_rt_info()["originalLayersNames"].astype(str)
        operator = re.search(r"(\w+)/aten\.(linear|embedding)\.", names)
        if operator or kind != "Embedding":
            names_by_kind[kind].add(operator[1] if operator else names)
    return Counter({kind: len(names) for kind, names in names_by_kind.items()})
