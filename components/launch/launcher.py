"""One interface to the ways a training is run, and the one function that goes through it."""

import logging
from typing import Any, Protocol

from compaware.components.core.base.logs import setup_logging
from compaware.components.launch.errors import JobError
from compaware.components.launch.job import Job
from compaware.components.launch.options import JobOptions
from compaware.components.launch.torchrun import TorchrunLauncher, exit_on_sigterm

log = logging.getLogger(__name__)


class Launcher(Protocol):
    """Does what a job asks for, one way or another."""

    def exists(self, job: Job) -> bool:
        """Whether the job was started, by this process or an earlier try of the same task."""

    def create(self, job: Job) -> None:
        """Starts the job, or goes on with the one that is there."""

    def wait(self, job: Job) -> None:
        """Returns when the job succeeded; raises UserError or JobError when it failed."""

    def cancel(self, job: Job) -> None:
        """Ends the job; no error when there is none."""


def launch(job: Job, launcher: Launcher) -> None:
    """Runs a job to its end; a SIGTERM to this process ends the job, then this process with code 143.

    Raises:
        UserError: The job, or what the component was given, is not right; trying again does not help.
        JobError: The job failed, with the reason.
    """
    exit_on_sigterm()
    try:
        launcher.create(job)
        launcher.wait(job)
    except (SystemExit, KeyboardInterrupt):
        try:
            launcher.cancel(job)
        except JobError as error:
            log.error("%s could not be stopped: %s", job.name, error)
        raise


def run_job(component: str, config: dict[str, Any], options: JobOptions, part: str = "") -> None:
    """Runs a component as `options` say, here or in the cluster, to its end.

    Args:
        component: The component's folder name.
        config: Its configuration.
        options: Where, how large and for how long.
        part: Tells this job from others of the same task, where it has several.

    Raises:
        UserError: As `launch`.
        JobError: As `launch`.
    """
    launcher = options.resolved_launcher()
    if launcher == "torchrun":
        launch(Job(component, component, config, options), TorchrunLauncher())
        return
    # The Kubernetes client is not everywhere where a component runs by itself.
    from compaware.components.launch.api import Api
    from compaware.components.launch.cluster import ClusterLauncher
    from compaware.components.launch.pytorchjob import PYTORCHJOB
    from compaware.components.launch.task import task_job
    from compaware.components.launch.trainjob import TRAINJOB

    setup_logging()
    api = Api()
    kind = PYTORCHJOB if launcher == "pytorchjob" else TRAINJOB
    launch(task_job(api, component, config, options, part), ClusterLauncher(kind, api))
