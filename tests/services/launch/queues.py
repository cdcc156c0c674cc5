"""Plays Kueue on the real API server with Kueue's definitions: queues, and the Workloads of jobs.

Conditions and their reasons are those of Kueue's pkg/controller/core/workload_controller.go and pkg/scheduler.
"""

from typing import Any

from tests.services.launch.conftest import Site

_QUEUES = "/apis/kueue.x-k8s.io/v1beta2/namespaces"


class LocalQueue:
    """A LocalQueue."""

    def __init__(self, site: Site, name: str):
        self._api = site.direct
        self._collection = f"{_QUEUES}/{site.direct.namespace}"
        self._name = name
        queue = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue", "metadata": {"name": name}}
        self._api.create(f"{self._collection}/localqueues", {**queue, "spec": {"clusterQueue": "all"}})

    def add_workload(self, job: dict[str, Any], reason: str, message: str) -> None:
        """Creates the Workload of a job, without quota for the reason."""
        pods = {"name": "main", "count": 1, "template": {"spec": {"containers": [{"name": "c", "image": "none"}]}}}
        name = f"pytorchjob-{job['metadata']['name']}"
        metadata = {"name": name, "labels": {"kueue.x-k8s.io/job-uid": job["metadata"]["uid"]}}
        workload = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Workload", "metadata": metadata}
        spec = {"queueName": self._name, "podSets": [pods]}
        self._api.create(f"{self._collection}/workloads", {**workload, "spec": spec})
        condition = {"type": "QuotaReserved", "status": "False", "reason": reason, "message": message}
        condition["lastTransitionTime"] = "2030-01-01T00:00:00Z"
        body = {"status": {"conditions": [condition]}}
        self._api.patch(f"{self._collection}/workloads/{name}/status", body)
