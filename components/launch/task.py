"""Finds the KFP task of this process from its pod; the task determines the job's name and owner."""

import hashlib
import json
import os
import re
from typing import Any

from kubernetes.client.exceptions import ApiException

from compaware.components.core.base.errors import UserError
from compaware.components.launch.api import Api, retry
from compaware.components.launch.job import Job, job_name
from compaware.components.launch.options import JobOptions

POD_VARIABLE = "KFP_POD_NAME"
_RUN_LABELS = ("pipeline/runid", "workflows.argoproj.io/workflow")
_NODE_ANNOTATION = "workflows.argoproj.io/node-name"
# Argo adds "(n)" to the name of every node that can be tried again, at each level: the number of the try. A loop's
# iteration is "(n:item)", and an item has no parentheses (argo-workflows, operator.go: generateNodeName).
_TRY = re.compile(r"\(\d+\)")


def task_job(api: Api, component: str, config: dict[str, Any], options: JobOptions, part: str = "") -> Job:
    """Returns the job of this task, named after run and task and owned by the run's Workflow.

    Outside a pod of a run, the job has no owner, and its name is a hash of the configuration. `part` distinguishes
    several jobs of one task.

    Raises:
        UserError: The pod of this task cannot be read or does not exist.
    """
    pod_name = os.environ.get(POD_VARIABLE)
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    if not pod_name:
        return Job(job_name(component, "", digest), component, config, options)
    path = f"/api/v1/namespaces/{api.namespace}/pods/{pod_name}"
    try:
        metadata = retry(lambda: api.get(path))["metadata"]
    except ApiException as error:
        raise UserError(f"there is no pod {pod_name} in namespace {api.namespace}: {POD_VARIABLE} is wrong") from error
    labels = metadata.get("labels", {})
    run = next((labels[label] for label in _RUN_LABELS if label in labels), "")
    task = task_of(metadata.get("annotations", {}).get(_NODE_ANNOTATION, ""))
    return Job(job_name(component, run, f"{task or digest}{part}"), component, config, options, _owners(metadata))


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
