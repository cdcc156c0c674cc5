"""Reads the Argo Workflow of a KFP run, which shows whether the run is over or only the launcher is lost."""

import datetime
import logging
import os
from typing import Any

import urllib3
from kubernetes.client.exceptions import ApiException

from compaware.components.launch.api import Api, summarize
from compaware.components.launch.job import Job

POD_VARIABLE = "KFP_POD_NAME"
_ENDED = ("Succeeded", "Failed", "Error")
# The clocks of this node and of Argo's controller may differ by this.
_CLOCK_SKEW = datetime.timedelta(seconds=30)
log = logging.getLogger(__name__)


def watched(api: Api, job: Job) -> list[tuple[str, str, dict[str, str]]]:
    """Returns name, path and selector of the list that shows the state of a job's run; empty outside a run."""
    if not job.workflow:
        return []
    return [("run", _collection(api), {"fieldSelector": f"metadata.name={job.workflow}"})]


def why_over(workflow: dict[str, Any] | None) -> str:
    """Returns why no task of a run continues; empty while the run goes on.

    Args:
        workflow: The run's Workflow; None if it does not exist.
    """
    if workflow is None or "deletionTimestamp" in workflow["metadata"]:
        return "the run was deleted"
    spec, status = workflow["spec"], workflow.get("status", {})
    if status.get("phase") in _ENDED:
        return f"the run has ended ({status['phase']})"
    if was_terminated(workflow):
        return "the run was terminated"
    deadline_s = spec.get("activeDeadlineSeconds")
    if deadline_s is not None and status.get("startedAt"):
        started = datetime.datetime.fromisoformat(status["startedAt"])
        if datetime.datetime.now(datetime.UTC) > started + datetime.timedelta(seconds=deadline_s) - _CLOCK_SKEW:
            return f"the run has exceeded its deadline of {deadline_s} s"
    return ""


def was_terminated(workflow: dict[str, Any]) -> bool:
    """Whether a run was terminated: by KFP with a deadline of 0 seconds, by Argo with `shutdown`.

    The Workflow remains until its time to live.
    """
    return bool(workflow["spec"].get("shutdown")) or workflow["spec"].get("activeDeadlineSeconds") == 0


def ask_why_over(api: Api, job: Job) -> str:
    """Reads the Workflow and returns why the run is over; empty if it goes on, or if the server does not answer.

    The process has less than a second to live, so the request is sent once.
    """
    try:
        return why_over(api.get(f"{_collection(api)}/{job.workflow}"))
    except ApiException as error:
        if error.status == 404:
            return why_over(None)
        if error.status == 403:
            # A job that was ended without need can be resumed. A job that is left behind would have no one to end it.
            return f"it is not known whether the run continues ({summarize(error)})"
        log.warning("cannot read the Workflow %s: %s", job.workflow, summarize(error))
    except urllib3.exceptions.HTTPError as error:
        log.warning("cannot read the Workflow %s: %s", job.workflow, summarize(error))
    return ""


def delete_own_pod(api: Api) -> None:
    """Deletes the pod of this process at once, so that Argo tries its task again.

    KFP's Argo repeats a task after an error, such as a pod that does not exist any more, but not after a failure. A pod
    that has ended is a failure, because of its exit code or because of the kubelet's message, also if it was evicted
    (argo-workflows 4.0.5, operator.go: podReconciliation, inferFailedReason, processNodeRetries).
    """
    try:
        api.delete(f"/api/v1/namespaces/{api.namespace}/pods/{os.environ[POD_VARIABLE]}", gracePeriodSeconds="0")
    except (ApiException, urllib3.exceptions.HTTPError) as error:
        log.warning("cannot delete the pod of this task, so the task may not be tried again: %s", summarize(error))


def _collection(api: Api) -> str:
    return f"/apis/argoproj.io/v1alpha1/namespaces/{api.namespace}/workflows"
