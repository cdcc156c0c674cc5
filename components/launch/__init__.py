"""Runs a component's entry point: on this machine, with torchrun, or as a job in a cluster."""

from compaware.components.launch.errors import JobError, UnansweredError
from compaware.components.launch.launcher import run_job
from compaware.components.launch.options import JobOptions
from compaware.components.launch.outputs import log_classification, log_metrics
from compaware.components.launch.run import attempt_component, places_for, run_component, shared_attempts

__all__ = [
    "JobError",
    "JobOptions",
    "UnansweredError",
    "attempt_component",
    "log_classification",
    "log_metrics",
    "places_for",
    "run_component",
    "run_job",
    "shared_attempts",
]
