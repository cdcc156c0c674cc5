"""Runs a component's entry point: on this machine, with torchrun, or as a job in a cluster."""

from compaware.components.launch.errors import JobError, UnansweredError
from compaware.components.launch.launcher import run_job
from compaware.components.launch.options import JobOptions
from compaware.components.launch.outputs import copy_file, log_classification, log_metrics, save_text
from compaware.components.launch.run import attempt_component, run_component, shared_folder

__all__ = [
    "JobError",
    "JobOptions",
    "UnansweredError",
    "attempt_component",
    "copy_file",
    "log_classification",
    "log_metrics",
    "run_component",
    "run_job",
    "save_text",
    "shared_folder",
]
