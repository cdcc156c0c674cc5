"""The pods of KFP's tasks: their security, and what the site sets for them."""

from typing import Any

from kfp import kubernetes

from compaware.components.launch.pods import NOT_EVICTED


def protect(task: Any) -> Any:
    """Lets a task run in namespaces that enforce Pod Security `restricted`, and keeps the autoscaler from moving it.

    KFP sets seccomp, capabilities and allowPrivilegeEscalation itself. The user is the image's, or the one that
    OpenShift assigns.
    """
    kubernetes.set_security_context(task, run_as_non_root=True)
    for key, value in NOT_EVICTED.items():
        kubernetes.add_pod_annotation(task, key, value)
    return task
