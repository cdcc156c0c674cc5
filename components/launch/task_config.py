"""Reads the settings of a task that KFP passes on to its job (`dsl.TaskConfig`)."""

import logging
from typing import Any

from compaware.components.launch.pods import GPU

_SIZES = {"cpu": "cpu_per_node", "memory": "memory_per_node", GPU: "gpus_per_node"}
log = logging.getLogger(__name__)


def options_of(task_config: Any) -> dict[str, Any]:
    """Returns the settings of a task as values of `JobOptions`; those that the task does not set are left out.

    Args:
        task_config: KFP's `dsl.TaskConfig`; its fields have the form of Kubernetes. None for no settings.
    """
    if task_config is None:
        return {}
    resources = task_config.resources or {}
    amounts = (resources.get("requests") or {}) | (resources.get("limits") or {})
    found = {
        **{option: amounts[name] for name, option in _SIZES.items() if name in amounts},
        "node_selector": task_config.node_selector,
        "tolerations": task_config.tolerations,
        "affinity": task_config.affinity,
        **_variables(task_config.env or []),
        "volumes": _claims(task_config.volumes or [], task_config.volume_mounts or []),
    }
    return {name: value for name, value in found.items() if value}


def _variables(listed: list[dict[str, Any]]) -> dict[str, Any]:
    values = {entry["name"]: entry.get("value", "") for entry in listed if "valueFrom" not in entry}
    secrets = {}
    for entry in listed:
        secret = entry.get("valueFrom", {}).get("secretKeyRef")
        if secret and not secret.get("optional"):
            secrets[entry["name"]] = {"secret": secret["name"], "key": secret["key"]}
        elif "valueFrom" in entry:
            log.info("the job has no variable %s of its task: set it in job.env or job.secret_env", entry["name"])
    return {"env": values, "secret_env": secrets}


def _claims(volumes: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> dict[str, str]:
    folders = {mount["name"]: mount["mountPath"] for mount in mounts}
    claims = {}
    for volume in volumes:
        if "persistentVolumeClaim" in volume:
            claims[volume["persistentVolumeClaim"]["claimName"]] = folders[volume["name"]]
        else:
            log.info("the job has no volume %s of its task: it is not a persistent volume claim", volume["name"])
    return claims
