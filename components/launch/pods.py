"""Parts of the training pods that all kinds of jobs share: variables, volumes and security settings."""

import json
import os
from collections.abc import Mapping
from typing import Any

from compaware.components.core.base import store_names
from compaware.components.core.base.validation import CONFIG_VARIABLE
from compaware.components.launch import site, stores
from compaware.components.launch.job import Job

WORK_FOLDER = "/work"
GPU = "nvidia.com/gpu"
# Number of GPUs that the pod was given, which PyTorch must find.
GPUS_VARIABLE = "COMPAWARE_GPUS"
APP_LABEL = {"app.kubernetes.io/part-of": "compaware"}
# A proxy in the pod breaks gloo's connections between nodes and keeps the pod running after the training.
NO_ISTIO = {"sidecar.istio.io/inject": "false"}
# A moved pod repeats up to checkpoint_minutes of training on all nodes, or its whole task.
NOT_EVICTED = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}

# KFP's MLflow plugin sets these in the task's container; none is a secret.
_MLFLOW_VARIABLES = (
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_RUN_ID",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_WORKSPACE",
)


def command(job: Job) -> list[str]:
    """Returns the pods' command; it starts torchrun, which reads the operator's PET_* variables."""
    return ["python", "-m", "compaware.components.launch.worker", job.component]


def environment(job: Job) -> list[dict[str, Any]]:
    """Returns the environment variables of the training container."""
    values = {
        # Kubernetes expands $(NAME) and $$ in a value, so a dollar sign is doubled.
        CONFIG_VARIABLE: json.dumps(job.config, sort_keys=True).replace("$", "$$"),
        "OMP_NUM_THREADS": str(job.options.threads),
        **({GPUS_VARIABLE: str(job.options.gpus_per_node)} if job.options.gpus_per_node else {}),
        # Without it, a restarted node cannot join the rendezvous again.
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        # The numeric user may have no name and no home in the image.
        "USER": "compaware",
        "HOME": WORK_FOLDER,
        "HF_HOME": f"{WORK_FOLDER}/huggingface",
        "XDG_CACHE_HOME": f"{WORK_FOLDER}/cache",
        **{name: os.environ[name] for name in _MLFLOW_VARIABLES if name in os.environ},
        **stores.values(),
        **job.options.env,
    }
    listed: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in values.items()]
    sources = _optional("configMapKeyRef", site.CONFIG_MAP, {name: name for name in site.VARIABLES})
    sources |= _optional("secretKeyRef", site.HUB_SECRET, site.HUB_KEYS)
    sources |= _optional("configMapKeyRef", store_names.KFP_CONFIG_MAP, store_names.KFP_CONFIG_MAP_KEYS)
    for key, name in stores.key_variables(job.options):
        sources |= _optional("secretKeyRef", job.options.storage_secret, {key: name})
    sources |= {
        name: {"secretKeyRef": {"name": item.secret, "key": item.key}} for name, item in job.options.secret_env.items()
    }
    # The job's options take precedence over the site's settings.
    return listed + [{"name": name, "valueFrom": source} for name, source in sources.items() if name not in values]


def _optional(kind: str, source: str, keys: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Returns variables from the keys of an optional ConfigMap or secret."""
    return {name: {kind: {"name": source, "key": key, "optional": True}} for key, name in keys.items()}


def resources(job: Job) -> dict[str, Any]:
    """Returns requests equal to limits, so that nodes are not overcommitted."""
    options = job.options
    amounts = {"cpu": options.cpu_per_node, "memory": options.memory_per_node}
    if options.ephemeral_storage:
        amounts["ephemeral-storage"] = options.ephemeral_storage
    if options.gpus_per_node:
        amounts[GPU] = str(options.gpus_per_node)
    return {"requests": amounts, "limits": dict(amounts)}


def volumes(job: Job) -> list[dict[str, Any]]:
    """Returns the volumes: shared memory, scratch space, the site's certificates, secrets and the user's claims."""
    listed: list[dict[str, Any]] = [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": job.options.shm_size}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "work", "emptyDir": {"sizeLimit": job.options.scratch_size}},
        {"name": "certificates", "configMap": {"name": site.CA_CONFIG_MAP, "optional": True}},
        *stores.volumes(job.options),
    ]
    for number, claim in enumerate(job.options.volumes):
        listed.append({"name": f"claim-{number}", "persistentVolumeClaim": {"claimName": claim}})
    return listed


def volume_mounts(job: Job) -> list[dict[str, Any]]:
    """Returns the mounts of `volumes`; nothing else is writable."""
    mounts: list[dict[str, Any]] = [
        {"name": "shm", "mountPath": "/dev/shm"},
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "work", "mountPath": WORK_FOLDER},
        {"name": "certificates", "mountPath": site.CA_FOLDER, "readOnly": True},
        *stores.volume_mounts(job.options),
    ]
    mounts += [{"name": f"claim-{n}", "mountPath": folder} for n, folder in enumerate(job.options.volumes.values())]
    return mounts


def pod_security(job: Job) -> dict[str, Any]:
    """Returns the security settings of the pod.

    They include the user, because the operator's init container would not start otherwise: its image runs as root.
    """
    number = job.options.run_as_user
    # fsGroup makes the volume claims writable. A cluster that assigns the user also assigns the group.
    user = {"runAsUser": number, "fsGroup": number, "fsGroupChangePolicy": "OnRootMismatch"} if number else {}
    return {"runAsNonRoot": True, **user, "seccompProfile": {"type": "RuntimeDefault"}}


def container_security() -> dict[str, Any]:
    """Returns the security settings of the container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def scheduling(job: Job) -> dict[str, Any]:
    """Returns the parts of the pod's spec for nodes, service account and pull secrets that are set."""
    options = job.options
    parts = {
        "nodeSelector": options.node_selector,
        "affinity": options.affinity,
        "tolerations": options.tolerations,
        "serviceAccountName": options.service_account,
        "imagePullSecrets": [{"name": name} for name in options.image_pull_secrets],
    }
    return {key: value for key, value in parts.items() if value}


def ranking(job: Job) -> dict[str, Any]:
    """Returns the priority and the topology spread of the pod, if they are set; a TrainJob cannot patch these."""
    # A constraint without a selector counts no pods at all.
    own = {"labelSelector": {"matchLabels": _component_labels(job)}}
    parts = {
        "priorityClassName": job.options.priority_class,
        "topologySpreadConstraints": [own | constraint for constraint in job.options.topology_spread],
    }
    return {key: value for key, value in parts.items() if value}


def _component_labels(job: Job) -> dict[str, str]:
    return {**APP_LABEL, "app.kubernetes.io/component": job.component}


def metadata(job: Job) -> dict[str, Any]:
    """Returns the metadata of the job's object, with the label of its Kueue queue."""
    queue = {"kueue.x-k8s.io/queue-name": job.options.queue_name} if job.options.queue_name else {}
    labels = {**_component_labels(job), **queue, **job.options.labels}
    owners = [job.lease] if job.lease else list(job.owners)
    return {"name": job.name, "labels": labels, "annotations": {}, "ownerReferences": owners}


def pod_metadata(job: Job) -> dict[str, Any]:
    """Returns the metadata of the pods."""
    labels = {**_component_labels(job), **job.options.labels}
    return {"labels": labels, "annotations": {**NO_ISTIO, **NOT_EVICTED, **job.options.annotations}}


def template(
    job: Job, container: str, env: list[dict[str, Any]], ports: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Returns the whole template of the pods.

    Args:
        job: The job.
        container: Name of the training container.
        env: Its environment variables.
        ports: Its ports, which the operator needs.
    """
    options = job.options
    training = {
        "name": container,
        "image": options.image,
        "imagePullPolicy": options.image_pull_policy,
        "command": command(job),
        "workingDir": WORK_FOLDER,
        "env": env,
        **({"ports": ports} if ports else {}),
        "resources": resources(job),
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": volume_mounts(job),
    }
    spec = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(job),
        "containers": [training],
        "volumes": volumes(job),
        **scheduling(job),
        **ranking(job),
    }
    return {"metadata": pod_metadata(job), "spec": spec}
