"""PyTorchJob of the training-operator, kubeflow.org/v1."""

from typing import Any

from compaware.components.launch import pods
from compaware.components.launch.job import Job, JobKind

_PORT = 23456


def manifest(job: Job) -> dict[str, Any]:
    """Returns the PyTorchJob of a job.

    With a fixed number of nodes, the first node is the Master and the others are Workers. An elastic job has Workers
    only, because the operator would take the end of a Master for the end of the job.
    """
    options = job.options
    spec: dict[str, Any] = {"nprocPerNode": str(options.processes_per_node), "runPolicy": _run_policy(job)}
    if options.min_nodes is not None:
        spec["elasticPolicy"] = {
            "rdzvBackend": "c10d",
            "minReplicas": options.min_nodes,
            "maxReplicas": options.max_nodes or options.num_nodes,
            "maxRestarts": options.max_restarts,
        }
        replicas = {"Worker": options.num_nodes}
    else:
        replicas = {"Master": 1, "Worker": options.num_nodes - 1}
    spec["pytorchReplicaSpecs"] = {
        kind: {"replicas": count, "restartPolicy": "OnFailure", "template": _template(job)}
        for kind, count in replicas.items()
        if count
    }
    return {
        "apiVersion": PYTORCHJOB.group_version,
        "kind": PYTORCHJOB.title,
        "metadata": pods.metadata(job),
        "spec": spec,
    }


def _run_policy(job: Job) -> dict[str, Any]:
    options = job.options
    policy: dict[str, Any] = {
        # Keeps failed pods for their logs and deletes running pods, which would wait for the failed ones.
        "cleanPodPolicy": "Running",
        "activeDeadlineSeconds": job.deadline_s,
        "ttlSecondsAfterFinished": job.ttl_s,
        "backoffLimit": _backoff_limit(job),
    }
    if options.queue_name:
        policy["suspend"] = True
    return policy


def _backoff_limit(job: Job) -> int:
    """Returns the number of restarts of all pods together at which the operator ends the job.

    A lost node makes all other pods restart. The nodes that an elastic job can do without may restart until the job's
    deadline, at most every five minutes after the first restarts (kubelet, MaxContainerBackOff).
    """
    options = job.options
    nodes = options.max_nodes or options.num_nodes
    spare = nodes - (options.min_nodes or nodes)
    return options.max_restarts * nodes + 1 + spare * (job.deadline_s // 300 + 6)


def _template(job: Job) -> dict[str, Any]:
    options = job.options
    env = pods.environment(job)
    if options.min_nodes is not None:
        # The operator does not set this variable in a job without a Master.
        env.append({"name": "PET_NPROC_PER_NODE", "value": str(options.processes_per_node)})
    ports = [{"name": "pytorchjob-port", "containerPort": _PORT}]
    return pods.template(job, PYTORCHJOB.container, env, ports)


PYTORCHJOB = JobKind(
    title="PyTorchJob",
    group_version="kubeflow.org/v1",
    plural="pytorchjobs",
    container="pytorch",
    succeeded="Succeeded",
    name_label="training.kubeflow.org/job-name",
    # In a job without a Master, the operator gives the first Worker this label.
    main_labels={"training.kubeflow.org/job-role": "master"},
    replica_labels=("training.kubeflow.org/replica-type", "training.kubeflow.org/replica-index"),
    manifest=manifest,
)
