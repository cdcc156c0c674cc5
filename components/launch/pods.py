"""What the training pods of every kind of job share: variables, volumes and the security settings."""

import json
from collections.abc import Mapping
from typing import Any

from compaware.components.core.base.validation import CONFIG_VARIABLE
from compaware.components.launch import site
from compaware.components.launch.job import Job
from compaware.components.launch.options import OBJECT_STORE_KEYS

WORK_FOLDER = "/work"
APP_LABEL = {"app.kubernetes.io/part-of": "compaware"}
# With a proxy in the pod, gloo's connections between nodes break and the pod does not end when training does.
NO_ISTIO = {"sidecar.istio.io/inject": "false"}


def command(job: Job) -> list[str]:
    """The pods' command; torchrun, which it starts, reads the PET_* variables that the operator sets."""
    return ["python", "-m", "compaware.components.launch.worker", job.component]


def environment(job: Job) -> list[dict[str, Any]]:
    """Environment variables of the training container."""
    values = {
        # Kubernetes reads $(NAME) and $$ in a value: doubled, a dollar is one.
        CONFIG_VARIABLE: json.dumps(job.config, sort_keys=True).replace("$", "$$"),
        "OMP_NUM_THREADS": str(job.options.threads),
        # Without it, a node that comes back cannot join the rendezvous again.
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        # The numeric user may have no name and home in the image.
        "USER": "compaware",
        "HOME": WORK_FOLDER,
        "HF_HOME": f"{WORK_FOLDER}/huggingface",
        "XDG_CACHE_HOME": f"{WORK_FOLDER}/cache",
        **job.options.env,
    }
    listed: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in values.items()]
    sources = _optional("configMapKeyRef", site.CONFIG_MAP, {name: name for name in site.VARIABLES})
    sources |= _optional("secretKeyRef", site.HUB_SECRET, site.HUB_KEYS)
    if job.options.storage_secret:
        sources |= _optional("secretKeyRef", job.options.storage_secret, OBJECT_STORE_KEYS)
    sources |= {
        name: {"secretKeyRef": {"name": one.secret, "key": one.key}} for name, one in job.options.secret_env.items()
    }
    # What the job's own options say goes before what the site says.
    return listed + [{"name": name, "valueFrom": one} for name, one in sources.items() if name not in values]


def _optional(kind: str, source: str, keys: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Variables from the keys of a ConfigMap or secret that need not be there."""
    return {name: {kind: {"name": source, "key": key, "optional": True}} for key, name in keys.items()}


def resources(job: Job) -> dict[str, Any]:
    """Requests equal to limits, so that a node is not shared out twice."""
    amounts = {"cpu": job.options.cpu_per_node, "memory": job.options.memory_per_node}
    return {"requests": amounts, "limits": dict(amounts)}


def volumes(job: Job) -> list[dict[str, Any]]:
    """Shared memory, scratch space, the site's certificates and the user's claims."""
    listed: list[dict[str, Any]] = [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": job.options.shm_size}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "work", "emptyDir": {"sizeLimit": job.options.scratch_size}},
        {"name": "certificates", "configMap": {"name": site.CA_CONFIG_MAP, "optional": True}},
    ]
    for number, claim in enumerate(job.options.volumes):
        listed.append({"name": f"claim-{number}", "persistentVolumeClaim": {"claimName": claim}})
    return listed


def volume_mounts(job: Job) -> list[dict[str, Any]]:
    """Where `volumes` are seen; nothing else is writable."""
    mounts: list[dict[str, Any]] = [
        {"name": "shm", "mountPath": "/dev/shm"},
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "work", "mountPath": WORK_FOLDER},
        {"name": "certificates", "mountPath": site.CA_FOLDER, "readOnly": True},
    ]
    mounts += [{"name": f"claim-{n}", "mountPath": folder} for n, folder in enumerate(job.options.volumes.values())]
    return mounts


def pod_security(job: Job) -> dict[str, Any]:
    """Security settings of the pod.

    The user is set here since the operator's init container, whose image has none of its own, would not start without.
    """
    number = job.options.run_as_user
    # Volumes are given to a group, so that claims are writable; where the cluster chooses the user, it does the group.
    user = {"runAsUser": number, "fsGroup": number, "fsGroupChangePolicy": "OnRootMismatch"} if number else {}
    return {"runAsNonRoot": True, **user, "seccompProfile": {"type": "RuntimeDefault"}}


def container_security() -> dict[str, Any]:
    """Security settings of the container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def scheduling(job: Job) -> dict[str, Any]:
    """The parts of a pod's spec that say where it may run and who it is; only what was given."""
    options = job.options
    parts = {
        "nodeSelector": options.node_selector,
        "tolerations": options.tolerations,
        "serviceAccountName": options.service_account,
        "imagePullSecrets": [{"name": name} for name in options.image_pull_secrets],
    }
    return {key: value for key, value in parts.items() if value}


def metadata(job: Job) -> dict[str, Any]:
    """Metadata of the job's object; Kueue finds the job by the queue's label."""
    queue = {"kueue.x-k8s.io/queue-name": job.options.queue_name} if job.options.queue_name else {}
    labels = {**APP_LABEL, "app.kubernetes.io/component": job.component, **queue, **job.options.labels}
    return {"name": job.name, "labels": labels, "annotations": {}, "ownerReferences": list(job.owners)}


def pod_metadata(job: Job) -> dict[str, Any]:
    """Metadata of the pods."""
    labels = {**APP_LABEL, "app.kubernetes.io/component": job.component, **job.options.labels}
    return {"labels": labels, "annotations": {**NO_ISTIO, **job.options.annotations}}
