"""The formats that models are served in: runtimes, precisions, file names, and the type of a batch."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # Configurations import this file, and not every image has numpy.
    import numpy as np

# Input name (input_ids, attention_mask, …) to int64 values, (batch, sequence).
TokenBatch = dict[str, "np.ndarray"]
RuntimeName = Literal["torch", "openvino", "onnxruntime", "ipex"]
Precision = Literal["fp32", "bf16", "int8", "int8_bf16"]
ONNX_FILE = "model_quantized.onnx"
OPENVINO_FILE = "openvino_model.xml"
# Converted FP32 weights (see `convert_fp32`); a runtime that finds its own here starts without PyTorch.
FP32_ONNX_FILE = "model_fp32.onnx"
FP32_OPENVINO_FILE = "openvino_model_fp32.xml"
OUTPUT_NAME = "logits"
AOT_FILE = "model.aoti.pt2"
