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
_RETRY = re.compile(r"\(\d+\)$")


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
    # The node's name contains the task, the iteration of its loop and, at the end, the number of the retry.
    node = _RETRY.sub("", metadata.get("annotations", {}).get(_NODE_ANNOTATION, ""))
    return Job(job_name(component, run, f"{node or digest}{part}"), component, config, options, _owners(metadata))


def _owners(metadata: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Returns the pod's owners without `controller` and `blockOwnerDeletion`, so that they only collect the job."""
    keys = ("apiVersion", "kind", "name", "uid")
    return tuple({key: owner[key] for key in keys} for owner in metadata.get("ownerReferences", []))
