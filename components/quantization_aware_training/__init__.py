"""Quantization-aware training: an FP32 classifier becomes INT8 files, judged against the FP32 model that came in."""
