"""Simulates the training-operator and the kubelet, which the test cluster lacks: creates pods and sets states."""

from typing import Any

from compaware.components.launch.api import Api
from compaware.components.launch.job import Job, JobKind
from compaware.components.launch.pytorchjob import PYTORCHJOB
from tests.services.launch.proxy import Proxy
from tests.services.launch.waiting import eventually

RUNNING = {"running": {"startedAt": "2030-01-01T00:00:00Z"}}


def terminated(exit_code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    """Returns the state of a container that has ended."""
    return {"terminated": {"exitCode": exit_code, "reason": reason, "message": message}}


class Operator:
    """Changes a job's pods and status as the operator would."""

    def __init__(self, api: Api, proxy: Proxy, job: Job, kind: JobKind = PYTORCHJOB):
        self._api = api
        self._proxy = proxy
        self._job = job
        self._kind = kind
        self.pods = f"/api/v1/namespaces/{api.namespace}/pods"
        self.path = f"{kind.path(api.namespace)}/{job.name}"

    def create_pods(self) -> list[str]:
        """Creates the pods of all nodes as soon as the job exists."""
        eventually(self.job)
        return [self.create_pod(node) for node in range(self._job.options.num_nodes)]

    def create_pod(self, node: int) -> str:
        """Creates the pod of one node, owned by the job."""
        if self._kind is PYTORCHJOB:
            role, index = ("worker", node - 1) if node else ("master", 0)
            name = f"{self._job.name}-{role}-{index}"
            labels = {
                "training.kubeflow.org/job-name": self._job.name,
                "training.kubeflow.org/replica-type": role,
                "training.kubeflow.org/replica-index": str(index),
                **({"training.kubeflow.org/job-role": "master"} if node == 0 else {}),
            }
        else:
            name = f"{self._job.name}-node-0-{node}-abcde"
            labels = {
                "jobset.sigs.k8s.io/jobset-name": self._job.name,
                "jobset.sigs.k8s.io/replicatedjob-name": "node",
                "batch.kubernetes.io/job-completion-index": str(node),
            }
        job = self.job()
        owner = {
            "apiVersion": self._kind.group_version,
            "kind": self._kind.title,
            "name": self._job.name,
            "uid": job["metadata"]["uid"],
            "controller": True,
        }
        container = {"name": self._kind.container, "image": "none"}
        metadata = {"name": name, "labels": labels, "ownerReferences": [owner]}
        spec = {"containers": [container], "automountServiceAccountToken": False}
        self._api.create(self.pods, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        return name

    def delete_pod(self, name: str) -> None:
        """Deletes a pod at once; the real kubelet would confirm its end."""
        self._api._json("DELETE", f"{self.pods}/{name}", {"gracePeriodSeconds": "0"})

    def preempt_pod(self, name: str) -> None:
        """Deletes a pod as a drained node does: its container ends by SIGTERM while the pod is on its way out."""
        self._api.patch(f"{self.pods}/{name}", {"metadata": {"finalizers": ["tests/hold"]}})
        self._api.delete(f"{self.pods}/{name}")
        self.set_pod(name, "Failed", terminated(143))
        self._api.patch(f"{self.pods}/{name}", {"metadata": {"finalizers": []}})

    def set_pod(
        self,
        name: str,
        phase: str,
        state: dict[str, Any] | None = None,
        last_state: dict[str, Any] | None = None,
        restarts: int = 0,
        **status: Any,
    ) -> None:
        """Sets a pod's phase and, with `state`, that of its container."""
        body: dict[str, Any] = {"phase": phase, **status}
        if state is not None:
            container = {"name": self._kind.container, "image": "none", "imageID": "", "ready": False, "state": state}
            body["containerStatuses"] = [{**container, "lastState": last_state or {}, "restartCount": restarts}]
        self._api.patch(f"{self.pods}/{name}/status", {"status": body})

    def run_pods(self) -> list[str]:
        """Creates all pods and starts them."""
        names = self.create_pods()
        for name in names:
            self.set_pod(name, "Running", RUNNING)
        self.set_condition("Running")
        return names

    def job(self) -> dict[str, Any] | None:
        """The job's object."""
        listing = self._api.get(self._kind.path(self._api.namespace))
        return next((item for item in listing["items"] if item["metadata"]["name"] == self._job.name), None)

    def set_condition(self, name: str, message: str = "", reason: str = "", status: str = "True") -> None:
        """Sets the only condition of the job; if the job ends, its containers and their logs end, too."""
        if name in ("Succeeded", "Complete", "Failed"):
            for pod in self._api.get(self.pods)["items"]:
                self._proxy.close_log(pod["metadata"]["name"])
        condition = {"type": name, "status": status, "message": message, "reason": reason or f"Job{name}"}
        condition["lastTransitionTime"] = "2030-01-01T00:00:00Z"
        self._api.patch(f"{self.path}/status", {"status": {"conditions": [condition]}})

    def set_suspend(self, suspend: bool) -> None:
        """Suspends or admits the job, as Kueue does."""
        self._api.patch(self.path, {"spec": {"runPolicy": {"suspend": suspend}}})
