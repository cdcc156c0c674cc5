"""TrainJob of Kubeflow Trainer 2.2 or newer, trainer.kubeflow.org/v1alpha1.

A TrainJob can patch only a part of its runtime. Unless the options name a runtime of the site, the launcher therefore
creates a TrainingRuntime with the other settings: restarts, time to live, pull policy, priority, no token.
"""

import hashlib
import json
import logging
import time
from dataclasses import replace
from typing import Any

from kubernetes.client.exceptions import ApiException

from compaware.components.core.base.errors import UserError
from compaware.components.launch import pods
from compaware.components.launch.api import Api, message_of
from compaware.components.launch.cluster import ClusterLauncher
from compaware.components.launch.discovery import may_create
from compaware.components.launch.errors import OldKindError
from compaware.components.launch.job import Job, JobKind
from compaware.components.launch.options import NAMESPACED_RUNTIME, JobOptions

RUNTIMES = "trainingruntimes"
# The ClusterTrainingRuntime of Kubeflow Trainer's installation. It has the default backoffLimit of a Job, 6.
STOCK_RUNTIME = "torch-distributed"
_REPLICATED_JOB = "node"
# The operator's webhook reads runtimes from a cache, which may not contain a new one yet.
_RUNTIME_PATIENCE_S = 20.0
_PAUSE_S = 0.5
log = logging.getLogger(__name__)
# The webhook's message after the name of the kind (pkg/runtime/core/trainingruntime.go, clustertrainingruntime.go).
_UNKNOWN_RUNTIME = "must be created before the TrainJob is created"


def manifest(job: Job) -> dict[str, Any]:
    """Returns the TrainJob of a job.

    Raises:
        UserError: An option needs a setting of the named runtime.
    """
    options = job.options
    if reason := options.unsupported_by("trainjob"):
        raise UserError(reason)
    pod_spec = {
        "securityContext": pods.pod_security(job),
        "volumes": pods.volumes(job),
        "containers": [
            {
                "name": TRAINJOB.container,
                "securityContext": pods.container_security(),
                "volumeMounts": pods.volume_mounts(job),
            }
        ],
        **pods.scheduling(job),
    }
    pod_patch = {"metadata": pods.pod_metadata(job), "spec": pod_spec}
    # The patch of a Job's template contains the patch of its pods' template.
    job_patch = {"name": _REPLICATED_JOB, "template": {"spec": {"template": pod_patch}}}
    spec: dict[str, Any] = {
        "runtimeRef": {"apiGroup": TRAINJOB.group, **_runtime_ref(job)},
        "activeDeadlineSeconds": job.deadline_s,
        "trainer": {
            "image": options.image,
            "command": pods.command(job),
            "numNodes": options.num_nodes,
            "numProcPerNode": options.processes_per_node,
            "resourcesPerNode": pods.resources(job),
            "env": pods.environment(job),
        },
        "runtimePatches": [
            {
                "manager": "compaware.io/launcher",
                "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [job_patch]}}},
            }
        ],
    }
    if options.queue_name:
        spec["suspend"] = True
    return {
        "apiVersion": TRAINJOB.group_version,
        "kind": TRAINJOB.title,
        "metadata": pods.metadata(job),
        "spec": spec,
    }


def runtime_manifest(job: Job) -> dict[str, Any]:
    """Returns the TrainingRuntime that the launcher creates for a job; its name has a hash of its settings."""
    options = job.options
    container = {
        "name": TRAINJOB.container,
        "image": options.image,
        "imagePullPolicy": options.image_pull_policy,
        "workingDir": pods.WORK_FOLDER,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    pod_spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "OnFailure",
        "containers": [container],
        **pods.ranking(job),
    }
    replicated_job = {
        "name": _REPLICATED_JOB,
        "template": {
            "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
            "spec": {"backoffLimit": job.backoff_limit, "template": {"spec": pod_spec}},
        },
    }
    spec = {
        "mlPolicy": {"numNodes": 1, "torch": {}},
        "template": {"spec": {"ttlSecondsAfterFinished": job.ttl_s, "replicatedJobs": [replicated_job]}},
    }
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:8]
    metadata = {
        "name": f"{job.name}-{digest}",
        "labels": pods.APP_LABEL,
        "ownerReferences": list(job.owners),
    }
    return {"apiVersion": TRAINJOB.group_version, "kind": "TrainingRuntime", "metadata": metadata, "spec": spec}


def may_create_runtimes(api: Api) -> bool:
    """Whether this account may create TrainingRuntimes in the namespace."""
    return may_create(api, TRAINJOB.group, RUNTIMES)


def why_not_on_stock_runtime(options: JobOptions) -> str:
    """Returns which option the runtime that Trainer installs cannot take; empty if there is none."""
    return _with_stock_runtime(options).unsupported_by("trainjob").partition(":")[0]


def _with_stock_runtime(options: JobOptions) -> JobOptions:
    return options.model_copy(update={"runtime": STOCK_RUNTIME})


def _runtime_ref(job: Job) -> dict[str, str]:
    name = job.options.runtime
    if name is None:
        return {"kind": "TrainingRuntime", "name": runtime_manifest(job)["metadata"]["name"]}
    if name.startswith(NAMESPACED_RUNTIME):
        return {"kind": "TrainingRuntime", "name": name.removeprefix(NAMESPACED_RUNTIME)}
    return {"kind": "ClusterTrainingRuntime", "name": name}


TRAINJOB = JobKind(
    title="TrainJob",
    group_version="trainer.kubeflow.org/v1alpha1",
    plural="trainjobs",
    container="node",
    succeeded="Complete",
    name_label="jobset.sigs.k8s.io/jobset-name",
    main_labels={
        "jobset.sigs.k8s.io/replicatedjob-name": _REPLICATED_JOB,
        "batch.kubernetes.io/job-completion-index": "0",
    },
    replica_labels=("batch.kubernetes.io/job-completion-index",),
    manifest=manifest,
    # The TrainJob and its JobSet have one name; the JobSet's Job creates the pods.
    event_suffixes=("", f"-{_REPLICATED_JOB}-0"),
    required_fields=("activeDeadlineSeconds", "runtimePatches"),
    requirement="Kubeflow Trainer 2.2 or newer",
)


class TrainJobLauncher(ClusterLauncher):
    """Launcher for TrainJobs; creates a runtime for each, unless the options name one."""

    def __init__(self, api: Api):
        super().__init__(TRAINJOB, api)

    def create(self, job: Job) -> None:
        """Creates the job; an account that may not create runtimes uses the one that Trainer installs."""
        if job.options.runtime is None and not may_create_runtimes(self._api):
            log.warning(
                "this account may not create TrainingRuntimes: using %s, which allows 6 restarts of all nodes together",
                STOCK_RUNTIME,
            )
            job = replace(job, options=_with_stock_runtime(job.options))
            if reason := why_not_on_stock_runtime(job.options):
                raise UserError(f"{reason}: let this account create TrainingRuntimes (components/launch/README.md)")
        super().create(job)

    def _create(self, job: Job, manifest: dict[str, Any]) -> None:
        if job.options.runtime is not None:
            self._create_with_runtime(job, manifest)
            return
        runtimes = f"/apis/{TRAINJOB.group_version}/namespaces/{self._api.namespace}/{RUNTIMES}"
        runtime = runtime_manifest(job)
        try:
            self._api.create(runtimes, runtime, fieldValidation="Strict")
        except ApiException as error:
            if error.status != 409:  # Its name contains a hash of its settings.
                raise
        try:
            self._create_with_runtime(job, manifest)
        except OldKindError:
            self._delete(f"{runtimes}/{runtime['metadata']['name']}")
            raise

    def _create_with_runtime(self, job: Job, manifest: dict[str, Any]) -> None:
        patience_s = _RUNTIME_PATIENCE_S if job.options.runtime is None else 0.0
        started_s = time.monotonic()
        while True:
            try:
                super()._create(job, manifest)
                return
            except ApiException as error:
                if _UNKNOWN_RUNTIME not in message_of(error):
                    raise
                if time.monotonic() - started_s > patience_s:
                    runtime = manifest["spec"]["runtimeRef"]
                    advice = "correct `runtime`, or leave it out"
                    if runtime["name"] == STOCK_RUNTIME:
                        advice = "install it, or let this account create TrainingRuntimes and leave `runtime` out"
                    raise UserError(f"there is no {runtime['kind']} {runtime['name']}: {advice}") from error
            time.sleep(_PAUSE_S)
