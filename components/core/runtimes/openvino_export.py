"""A graph as OpenVINO IR."""

from pathlib import Path

import openvino
import torch

from compaware.components.core.runtimes.formats import OUTPUT_NAME


def save_openvino(program: torch.export.ExportedProgram, file: Path) -> None:
    """Writes OpenVINO IR (`.xml` and `.bin`), as `OVModelForSequenceClassification` of optimum-intel loads it.

    OpenVINO's converter wants quantize and dequantize in pairs, so weights that are not folded; it folds them itself.
    """
    model = openvino.convert_model(program)
    model.outputs[0].get_tensor().set_names({OUTPUT_NAME})
    openvino.save_model(model, file, compress_to_fp16=False)
