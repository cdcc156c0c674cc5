"""The interface of all launchers, and the function that runs a job with one of them."""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from compaware.components.core.base.logs import setup_logging
from compaware.components.launch.errors import JobError
from compaware.components.launch.job import Job
from compaware.components.launch.options import JobOptions
from compaware.components.launch.torchrun import TorchrunLauncher, exit_on_sigterm

log = logging.getLogger(__name__)


class Launcher(Protocol):
    """Runs jobs on this machine or in a cluster."""

    def exists(self, job: Job) -> bool:
        """Whether this process or an earlier try of the same task has started the job."""

    def create(self, job: Job) -> None:
        """Starts the job, or adopts the existing one."""

    def wait(self, job: Job) -> None:
        """Returns when the job has succeeded; raises UserError or JobError when it has failed."""

    def cancel(self, job: Job) -> None:
        """Ends the job; does nothing if there is none."""

    def stop(self, job: Job) -> None:
        """Prepares for the end of this process by SIGTERM: ends the job unless a next try of the task adopts it."""


def launch(job: Job, launcher: Launcher) -> None:
    """Runs a job until it ends; on SIGTERM, ends the job or leaves it to the next try, and exits with code 143.

    Raises:
        UserError: The job's options or the component's configuration or inputs are wrong.
        JobError: The job failed for another reason.
    """
    exit_on_sigterm()
    try:
        launcher.create(job)
        launcher.wait(job)
    except SystemExit:
        _end(launcher.stop, job)
        raise
    except KeyboardInterrupt:
        _end(launcher.cancel, job)
        raise


def _end(end: Callable[[Job], None], job: Job) -> None:
    try:
        end(job)
    except JobError as error:
        log.error("cannot stop %s: %s", job.name, error)


def run_job(component: str, config: dict[str, Any], options: JobOptions, part: str = "") -> None:
    """Runs a component on this machine or in the cluster until it ends.

    Args:
        component: The component's folder name.
        config: Its configuration.
        options: Where the job runs, its size and its limits.
        part: Distinguishes several jobs of the same task.

    Raises:
        UserError: As `launch`.
        JobError: As `launch`.
    """
    if options.resolved_launcher() == "torchrun":
        launch(Job(component, component, config, options), TorchrunLauncher())
        return
    # The Kubernetes client is not installed everywhere that a component runs.
    from compaware.components.launch.api import Api
    from compaware.components.launch.kinds import launch_in_cluster
    from compaware.components.launch.task import task_job

    setup_logging()
    api = Api()
    launch_in_cluster(api, task_job(api, component, config, options, part))
