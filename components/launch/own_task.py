"""Lets Argo repeat a KFP task that works in its own pod, if the pod is lost, as it repeats a lost launcher."""

import logging
import os
import threading
from typing import TYPE_CHECKING

from compaware.components.core.base.errors import UserError
from compaware.components.launch.errors import JobError
from compaware.components.launch.options import JobOptions

if TYPE_CHECKING:
    from compaware.components.launch.api import Api
    from compaware.components.launch.job import Job

log = logging.getLogger(__name__)


class OwnTask(threading.Thread):
    """Finds the run of this pod in the background, because at SIGTERM there is time for two requests only."""

    def __init__(self) -> None:
        super().__init__(name="own-task", daemon=True)
        self._found: tuple[Api, Job] | None = None

    @classmethod
    def find(cls) -> "OwnTask | None":
        """Starts to look for the run; returns None outside a KFP pod."""
        if "KFP_POD_NAME" not in os.environ:
            return None
        task = cls()
        task.start()
        return task

    def run(self) -> None:
        """Reads the pod; without the permission for that, a lost task is not tried again."""
        try:
            # The Kubernetes client is not installed everywhere, and its import takes a second.
            from compaware.components.launch.api import Api
            from compaware.components.launch.task import task_job

            api = Api()
            self._found = api, task_job(api, "", {}, JobOptions())
        except (ImportError, UserError, JobError) as error:
            log.debug("the pod of this task is not known: %s", error)

    def repeat_if_lost(self) -> None:
        """Deletes this pod if its run goes on, so that Argo tries the task again; see `workflow.delete_own_pod`."""
        if self._found is None:
            return
        from compaware.components.launch.workflow import ask_why_over, delete_own_pod

        api, job = self._found
        if job.workflow and not ask_why_over(api, job):
            delete_own_pod(api)
