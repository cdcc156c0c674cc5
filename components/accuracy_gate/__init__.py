"""Stops a pipeline when the compressed model misses its accuracy criterion."""
