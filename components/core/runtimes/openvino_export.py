"""Saves a graph as OpenVINO IR."""

from pathlib import Path

import openvino
import torch

from compaware.components.core.runtimes.formats import OUTPUT_NAME


def save_openvino(program: torch.export.ExportedProgram, file: Path) -> None:
    """Saves OpenVINO IR (`.xml` and `.bin`), which optimum-intel's `OVModelForSequenceClassification` loads.

    OpenVINO's converter needs pairs of quantize and dequantize nodes, so the weights must not be folded; it folds them.
    """
    model = openvino.convert_model(program)
    model.outputs[0].get_tensor().set_names({OUTPUT_NAME})
    openvino.save_model(model, file, compress_to_fp16=False)
