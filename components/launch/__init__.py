"""Runs a component's entry point: here, by torchrun, or as a job in a cluster."""

from compaware.components.launch.errors import JobError
from compaware.components.launch.launcher import run_job
from compaware.components.launch.options import JobOptions
from compaware.components.launch.outputs import log_classification, log_metrics
from compaware.components.launch.run import run_component

__all__ = ["JobError", "JobOptions", "log_classification", "log_metrics", "run_component", "run_job"]
