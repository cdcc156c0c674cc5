"""Starts a component's entry point: one process here, or several under torchrun."""
