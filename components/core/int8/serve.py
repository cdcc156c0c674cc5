"""The public forms of an INT8 graph: ONNX for onnxruntime, OpenVINO IR, and an AOTInductor package on request.

None of them needs this package to be loaded.
"""

import copy
from pathlib import Path

import openvino
import torch

from compaware.components.core.int8.convert import fold_weights
from compaware.components.core.int8.export import export_graph, graph_inputs
from compaware.components.core.int8.onnx_form import save_onnx
from compaware.components.core.runtimes import ONNX_FILE, OPENVINO_FILE, OUTPUT_NAME

AOT_FILE = "model.aoti.pt2"


def save_forms(graph: torch.fx.GraphModule, folder: Path, max_tokens: int, aot_package: bool = False) -> None:
    """Writes the files that runtimes load.

    Args:
        graph: Converted, its weights not folded yet (see `convert.convert_graph`).
        folder: An existing folder.
        max_tokens: Longest sequence that the model takes.
        aot_package: Also compile an AOTInductor package for this machine's CPU; takes a minute and a C++ compiler.
    """
    save_openvino(export_graph(graph, max_tokens), folder / OPENVINO_FILE)
    folded = export_graph(fold_weights(copy.deepcopy(graph)), max_tokens)
    save_onnx(folded, graph_inputs(graph), max_tokens, folder / ONNX_FILE)
    if aot_package:
        save_aot_package(folded, folder / AOT_FILE)


def save_openvino(program: torch.export.ExportedProgram, file: Path) -> None:
    """Writes OpenVINO IR (`.xml` and `.bin`), as `OVModelForSequenceClassification` of optimum-intel loads it.

    OpenVINO's converter wants quantize and dequantize in pairs, so weights that are not folded; it folds them itself.
    """
    model = openvino.convert_model(program)
    model.outputs[0].get_tensor().set_names({OUTPUT_NAME})
    openvino.save_model(model, file, compress_to_fp16=False)


def save_aot_package(program: torch.export.ExportedProgram, file: Path) -> None:
    """Compiles the graph ahead of time for this machine's CPU; `torch._inductor.aoti_load_package` loads it.

    Without freezing the INT8 products would not be fused, and be slow.
    """
    from torch._inductor import aoti_compile_and_package

    with torch.no_grad():
        aoti_compile_and_package(program, package_path=str(file), inductor_configs={"freezing": True})
