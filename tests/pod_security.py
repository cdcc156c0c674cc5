"""The restricted Pod Security Standard, as k8s.io/pod-security-admission checks it (policy/check_*.go, 1.36).

The API server of the tests is older than this admission plugin, so the rules are written again here.
"""

from collections.abc import Iterator
from typing import Any

_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim"}
_VOLUMES |= {"projected", "secret"}
_SECCOMP = ("RuntimeDefault", "Localhost")
_HOST = ("hostNetwork", "hostPID", "hostIPC")


def violations(pod: dict[str, Any]) -> list[str]:
    """Returns why the namespace label `pod-security.kubernetes.io/enforce: restricted` refuses a pod.

    Args:
        pod: The pod's spec.
    """
    return [*_of_the_pod(pod), *(f"{item['name']}: {reason}" for item in _containers(pod) for reason in _of(item, pod))]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for key in ("initContainers", "containers", "ephemeralContainers") for item in pod.get(key) or ()]


def _of_the_pod(pod: dict[str, Any]) -> Iterator[str]:
    security = pod.get("securityContext") or {}
    yield from (f"{key} is set" for key in _HOST if pod.get(key))
    for volume in pod.get("volumes") or ():
        if not volume.keys() & _VOLUMES:
            yield f"volume {volume['name']} has a restricted type"
    if security.get("runAsNonRoot") is False:
        yield "runAsNonRoot != true"
    if security.get("runAsUser") == 0:
        yield "runAsUser=0"
    if "seccompProfile" in security and security["seccompProfile"]["type"] not in _SECCOMP:
        yield "seccompProfile"
    yield from (f"{key} is set" for key in ("sysctls", "seLinuxOptions", "windowsOptions") if security.get(key))


def _of(container: dict[str, Any], pod: dict[str, Any]) -> Iterator[str]:
    above, security = pod.get("securityContext") or {}, container.get("securityContext") or {}
    if security.get("runAsNonRoot", above.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot != true"
    if security.get("runAsUser") == 0:
        yield "runAsUser=0"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation != false"
    capabilities = security.get("capabilities") or {}
    if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
        yield "unrestricted capabilities"
    profile = security.get("seccompProfile") or above.get("seccompProfile") or {}
    if profile.get("type") not in _SECCOMP:
        yield "seccompProfile"
    if security.get("privileged"):
        yield "privileged"
    if security.get("procMount", "Default") != "Default":
        yield "procMount"
    if any(port.get("hostPort") for port in container.get("ports") or ()):
        yield "hostPort"
