"""Finds the KFP task of this process from its pod; the task determines the job's name and owner."""

import hashlib
import json
import os
import re
from typing import Any

from kubernetes.client.exceptions import ApiException

from compaware.components.core.base.errors import UserError
from compaware.components.launch.api import Api, retry
from compaware.components.launch.earlier import Run
from compaware.components.launch.job import Job, job_name
from compaware.components.launch.options import JobOptions
from compaware.components.launch.pulling import image_of, with_image
from compaware.components.launch.workflow import POD_VARIABLE

WORKFLOW_LABEL = "workflows.argoproj.io/workflow"
_RUN_LABELS = ("pipeline/runid", WORKFLOW_LABEL)
NODE_ANNOTATION = "workflows.argoproj.io/node-name"
# Argo adds the number of the try, "(n)", to the name of every node that can be tried again, at each level. A loop's
# iteration is "(n:item)", and an item has no parentheses (argo-workflows, operator.go: generateNodeName).
_TRY = re.compile(r"\(\d+\)")


def task_job(api: Api, component: str, config: dict[str, Any], options: JobOptions, part: str = "") -> Job:
    """Returns the job of this task, named after run and task and owned by the run's Workflow.

    Outside a pod of a run, the job has no owner, and its name is a hash of the configuration. `part` distinguishes
    several jobs of one task.

    Raises:
        UserError: The pod of this task cannot be read or does not exist, or the job's image is not known.
    """
    pod_name = os.environ.get(POD_VARIABLE)
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    if not pod_name:
        return Job(job_name(component, "", digest), component, config, with_image(options, None))
    pod = _pod(api, pod_name)
    metadata = pod["metadata"]
    task = task_of(metadata.get("annotations", {}).get(NODE_ANNOTATION, ""))
    name = job_name(component, _run_id(metadata), f"{task or digest}{part}")
    return Job(name, component, config, with_image(options, pod), _owners(metadata))


def current_run(api: Api) -> Run | None:
    """Returns the run of this pod; None outside a pod of a run.

    Raises:
        UserError: The pod of this task cannot be read or does not exist.
    """
    pod_name = os.environ.get(POD_VARIABLE)
    if not pod_name:
        return None
    pod = _pod(api, pod_name)
    run_id = _run_id(pod["metadata"])
    pods = f"/api/v1/namespaces/{api.namespace}/pods"

    def is_active(other_id: str) -> bool:
        items = retry(lambda: api.get(pods, labelSelector=f"{_RUN_LABELS[0]}={other_id}"))["items"]
        return any(pod["status"].get("phase") in ("Pending", "Running") for pod in items)

    return Run(run_id, api.namespace, is_active, image_of(pod)) if run_id else None


def _pod(api: Api, pod_name: str) -> dict[str, Any]:
    path = f"/api/v1/namespaces/{api.namespace}/pods/{pod_name}"
    try:
        return retry(lambda: api.get(path))
    except ApiException as error:
        raise UserError(f"there is no pod {pod_name} in namespace {api.namespace}: {POD_VARIABLE} is wrong") from error


def _run_id(metadata: dict[str, Any]) -> str:
    labels = metadata.get("labels", {})
    return next((labels[label] for label in _RUN_LABELS if label in labels), "")


def task_of(node_name: str) -> str:
    """Returns the part of a node's name that is the same for all tries of its task.

    Args:
        node_name: Name of the node in the Workflow, such as `run-x(0).root(0).loop-iterations(0:a)(0).executor(1)`.
    """
    return _TRY.sub("", node_name)


def _owners(metadata: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Returns the pod's owners without `controller` and `blockOwnerDeletion`, so that they only collect the job."""
    keys = ("apiVersion", "kind", "name", "uid")
    return tuple({key: owner[key] for key in keys} for owner in metadata.get("ownerReferences", []))
