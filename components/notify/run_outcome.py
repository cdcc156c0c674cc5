"""Finds out from a run's Workflow and pods how it ended, because KFP gives an exit task little information.

The state of the stages that KFP gives is one of ML Metadata (RUNNING if a stage failed before it could report). KFP
gives no error, and no name for the runs of a schedule.
"""

import logging
import os
import re
from typing import Any

import urllib3
from kubernetes.client.exceptions import ApiException

from compaware.components.core.base.errors import UserError, reported_reason
from compaware.components.launch.api import Api, summarize
from compaware.components.launch.task import NODE_ANNOTATION, WORKFLOW_LABEL
from compaware.components.launch.workflow import POD_VARIABLE, was_terminated
from compaware.components.notify.webhook import Outcome

_STATES = {"COMPLETE": "SUCCEEDED", "SUCCEEDED": "SUCCEEDED", "FAILED": "FAILED", "CANCELED": "CANCELED"}
_FAILED = ("Failed", "Error")
# Set by KFP's API server (util.AnnotationKeyRunName); a schedule's runs have it on the Workflow only.
_NAME_ANNOTATION = "pipelines.kubeflow.org/run_name"
_STAGE = re.compile(r"\.([^.()]+)(?:\(\d+\))?\.executor(?:\(\d+\))?$")
_LOG_LINES = 50
UNKNOWN = "ENDED"
log = logging.getLogger(__name__)


def find_outcome(run_id: str, run_name: str, state: str, error: str) -> Outcome:
    """Returns the outcome of this task's run; its state is `ENDED` if it cannot be known.

    Args:
        run_id: The run's id.
        run_name: Its name; empty for a run of a schedule.
        state: State of the stages as KFP gives it to an exit task.
        error: Message of the stages' error as KFP gives it, which is often empty.
    """
    told = Outcome(run_id, run_name or run_id, _STATES.get(state, UNKNOWN), error)
    if POD_VARIABLE not in os.environ:
        return told
    try:
        return _ask(Api(), told)
    except (ApiException, urllib3.exceptions.HTTPError, UserError) as problem:
        log.warning("the run's Workflow cannot be read (%s): only the state that KFP gives is sent", summarize(problem))
        return told


def _ask(api: Api, told: Outcome) -> Outcome:
    pods = f"/api/v1/namespaces/{api.namespace}/pods"
    own = api.get(f"{pods}/{os.environ[POD_VARIABLE]}")
    name = own["metadata"]["labels"][WORKFLOW_LABEL]
    workflow = api.get(f"/apis/argoproj.io/v1alpha1/namespaces/{api.namespace}/workflows/{name}")
    run_name = workflow["metadata"].get("annotations", {}).get(_NAME_ANNOTATION) or told.run_name or name
    if was_terminated(workflow):
        return Outcome(told.run_id, run_name, "CANCELED", "")
    items = api.get(pods, labelSelector=f"{WORKFLOW_LABEL}={name}")["items"]
    nodes = workflow.get("status", {}).get("nodes", {}).values()
    failed = [node for node in nodes if node["type"] == "Pod" and node["phase"] in _FAILED]
    failed = [node for node in failed if not _was_repeated(node, nodes)]
    if not failed:
        return Outcome(told.run_id, run_name, told.state, told.reason)
    first = min(failed, key=lambda node: node["finishedAt"])
    stage = _STAGE.search(first["name"])
    reason = _last_error(api, pods, items, first) or first.get("message", "").removeprefix("main: ")
    return Outcome(told.run_id, run_name, "FAILED", f"{stage[1]}: {reason}" if stage else reason)


def _was_repeated(node: dict[str, Any], nodes: Any) -> bool:
    """Whether a later try of the same task succeeded."""
    parents = (other for other in nodes if other["type"] == "Retry" and node["id"] in (other.get("children") or []))
    return any(parent["phase"] not in _FAILED for parent in parents)


def _last_error(api: Api, pods: str, items: list[dict[str, Any]], node: dict[str, Any]) -> str:
    """Returns the error at the end of a pod's log; empty if there is none or the pod is gone."""
    for pod in items:
        if pod["metadata"].get("annotations", {}).get(NODE_ANNOTATION) == node["name"]:
            path = f"{pods}/{pod['metadata']['name']}/log"
            try:
                lines = list(api.lines(path, container="main", tailLines=str(_LOG_LINES)))
            except (ApiException, urllib3.exceptions.HTTPError) as problem:
                log.warning("the log of %s cannot be read: %s", pod["metadata"]["name"], summarize(problem))
                return ""
            return reported_reason(lines)
    return ""
