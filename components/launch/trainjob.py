"""TrainJob of Kubeflow Trainer v2, trainer.kubeflow.org/v1alpha1.

The site's runtime determines the pods; a TrainJob can patch only a part of it. Restarts, time to live, pull policy,
priority and the service account's token are set in the runtime: see README.md.
"""

from typing import Any

from compaware.components.launch import pods
from compaware.components.launch.job import Job, JobKind

_REPLICATED_JOB = "node"


def manifest(job: Job) -> dict[str, Any]:
    """Returns the TrainJob of a job."""
    options = job.options
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
        "runtimeRef": {"apiGroup": "trainer.kubeflow.org", "kind": "ClusterTrainingRuntime", "name": options.runtime},
        "activeDeadlineSeconds": max(1, round(options.timeout_hours * 3600)),
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
)
