"""Job of Kubernetes, batch/v1: one node, without an operator."""

from typing import Any

from compaware.components.core.base.errors import UserError
from compaware.components.launch import pods
from compaware.components.launch.job import Job, JobKind


def manifest(job: Job) -> dict[str, Any]:
    """Returns the batch Job of a job.

    Raises:
        UserError: The job has more than one node, or is elastic.
    """
    options = job.options
    if reason := options.unsupported_by("job"):
        raise UserError(reason)
    # Without an operator, nothing sets these variables of torchrun.
    variables = {"PET_STANDALONE": "1", "PET_NPROC_PER_NODE": str(options.processes_per_node)}
    env = pods.environment(job) + [{"name": name, "value": value} for name, value in variables.items()]
    template = pods.template(job, BATCHJOB.container, env)
    template["spec"]["restartPolicy"] = "OnFailure"
    spec: dict[str, Any] = {
        "backoffLimit": job.backoff_limit,
        "activeDeadlineSeconds": job.deadline_s,
        "ttlSecondsAfterFinished": job.ttl_s,
        "template": template,
    }
    if options.queue_name:
        spec["suspend"] = True
    return {
        "apiVersion": BATCHJOB.group_version,
        "kind": BATCHJOB.title,
        "metadata": pods.metadata(job),
        "spec": spec,
    }


BATCHJOB = JobKind(
    title="Job",
    group_version="batch/v1",
    plural="jobs",
    container="training",
    succeeded="Complete",
    name_label="job-name",
    main_labels={},
    replica_labels=(),
    manifest=manifest,
)
