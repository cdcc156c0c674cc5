"""The pods of KFP's tasks: their security, and what the site and the run set for them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kfp import kubernetes

from compaware.components.core.base.cpu import NODE_VARIABLES
from compaware.components.core.stage.interface import JOB
from compaware.components.launch.pods import NOT_EVICTED
from compaware.components.launch.quantities import quantity
from compaware.components.launch.site import SETTINGS_VARIABLE
from compaware.pipelines.task_settings import NODE_AFFINITY, PLAIN, Layers

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
_layers: ContextVar[Layers] = ContextVar("layers", default=PLAIN)


@contextmanager
def compiled_with(layers: Layers) -> Iterator[None]:
    """Compiles the pipelines in its body with these settings of pods."""
    token = _layers.set(layers)
    try:
        yield
    finally:
        _layers.reset(token)


def configure(task: Any, name: str, cpu: str, memory: str) -> set[str]:
    """Sets what a task's pod needs, and what the site and the run set for it.

    The pod runs in namespaces that enforce Pod Security `restricted`: KFP sets seccomp, capabilities and
    allowPrivilegeEscalation itself; the user is the image's, or the one that OpenShift assigns.

    Args:
        task: The KFP task.
        name: The component's folder name.
        cpu: CPU limit, if nothing else is set.
        memory: Memory limit, if nothing else is set.

    Returns:
        The names of the environment variables that were set.
    """
    trains = JOB in (task.component_spec.inputs or {})
    layers = _layers.get()
    pod = layers.of_task(name, trains)
    variables = dict(pod.get("env", {}))
    if trains and layers.site:
        variables[SETTINGS_VARIABLE] = layers.of_jobs()
    kubernetes.set_security_context(task, run_as_user=pod.get("run_as_user"), run_as_non_root=True)
    _set_sizes(task, pod, cpu, memory)
    _schedule(task, pod)
    for key, value in pod.get("labels", {}).items():
        kubernetes.add_pod_label(task, key, value)
    for key, value in (NOT_EVICTED | pod.get("annotations", {})).items():
        kubernetes.add_pod_annotation(task, key, value)
    for claim, folder in pod.get("volumes", {}).items():
        kubernetes.mount_pvc(task, claim, folder)
    for variable, value in variables.items():
        # Kubernetes expands $(NAME) and $$ in a value, so a dollar sign is doubled.
        task.set_env_variable(variable, value.replace("$", "$$"))
    return set(variables)


def name_node(task: Any) -> None:
    """Gives a task the name of its node and, if the cluster copies this label of the node to pods, the instance type.

    A task has no permission to read nodes. Without the label, Kubernetes sets an empty value.
    """
    fields = {"node": "spec.nodeName", "node_type": f"metadata.labels['{INSTANCE_TYPE}']"}
    for name, path in fields.items():
        kubernetes.use_field_path_as_env(task, NODE_VARIABLES[name], path)


def _set_sizes(task: Any, pod: Mapping[str, Any], cpu: str, memory: str) -> None:
    # Without a request, the cluster's default applies, which is small: a pod that waits for a job needs no more.
    if "cpu" in pod:
        task.set_cpu_request(pod["cpu"])
    memory = pod.get("memory", memory)
    if "." in memory:
        memory = str(int(quantity(memory)))  # KFP refuses a fraction, such as 1.5Gi.
    if "memory" in pod:
        task.set_memory_request(memory)
    task.set_cpu_limit(pod.get("cpu", cpu)).set_memory_limit(memory)


def _schedule(task: Any, pod: Mapping[str, Any]) -> None:
    for key, value in pod.get("node_selector", {}).items():
        kubernetes.add_node_selector(task, key, value)
    for toleration in pod.get("tolerations", ()):
        seconds = toleration.get("tolerationSeconds")
        rest = {key: value for key, value in toleration.items() if key != "tolerationSeconds"}
        kubernetes.add_toleration(task, **rest, toleration_seconds=seconds)
    if affinity := pod.get("affinity", {}).get(NODE_AFFINITY):
        kubernetes.add_node_affinity_json(task, affinity)
