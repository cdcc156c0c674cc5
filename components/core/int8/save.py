"""Saves an INT8 graph as ONNX for onnxruntime, as OpenVINO IR and, on request, as an AOTInductor package.

The files can be loaded without this package.
"""

import copy
from pathlib import Path

import torch

from compaware.components.core.int8.convert import fold_weights
from compaware.components.core.runtimes.export import export_graph, graph_inputs
from compaware.components.core.runtimes.formats import AOT_FILE, ONNX_FILE, OPENVINO_FILE
from compaware.components.core.runtimes.onnx_export import save_onnx
from compaware.components.core.runtimes.openvino_export import save_openvino


def save_int8_files(graph: torch.fx.GraphModule, folder: Path, max_tokens: int, aot_package: bool = False) -> None:
    """Saves the files that runtimes load.

    Args:
        graph: A converted graph whose weights are not folded (see `convert.convert_graph`).
        folder: An existing folder.
        max_tokens: Longest sequence that the model takes.
        aot_package: Also compile an AOTInductor package for this machine's CPU; takes a minute and a C++ compiler.
    """
    save_openvino(export_graph(graph, max_tokens), folder / OPENVINO_FILE)
    folded = export_graph(fold_weights(copy.deepcopy(graph)), max_tokens)
    save_onnx(folded, graph_inputs(graph), max_tokens, folder / ONNX_FILE)
    if aot_package:
        save_aot_package(folded, folder / AOT_FILE)


def save_aot_package(program: torch.export.ExportedProgram, file: Path) -> None:
    """Compiles the graph ahead of time for this machine's CPU; `torch._inductor.aoti_load_package` loads it.

    Without freezing, the INT8 products would not be fused and would be slow.
    """
    from torch._inductor import aoti_compile_and_package

    with torch.no_grad():
        aoti_compile_and_package(program, package_path=str(file), inductor_configs={"freezing": True})
