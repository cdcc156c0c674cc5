"""INT8: quantizers, fake quantization, post-training quantization, conversion and statistics."""
