"""Stops a pipeline if the quantized model misses its accuracy criterion."""
