"""Starts a component's entry point: one process here, or several under torchrun."""

from compaware.components.launch.local import run_component
from compaware.components.launch.outputs import log_confusion_matrix, log_metrics

__all__ = ["log_confusion_matrix", "log_metrics", "run_component"]
