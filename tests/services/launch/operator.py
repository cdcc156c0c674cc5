"""Plays the operators and the kubelet, which the test cluster lacks: creates a job's pods and sets states.

A stand-in, since none of them runs here. Each class does what the source named in it does.
"""

from typing import Any

from compaware.components.launch.api import Api
from compaware.components.launch.batchjob import BATCHJOB
from compaware.components.launch.job import Job, JobKind
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.launch.trainjob import TRAINJOB
from tests.services.launch.proxy import Proxy
from tests.services.launch.waiting import eventually

RUNNING = {"running": {"startedAt": "2030-01-01T00:00:00Z"}}
_TIME = "2030-01-01T00:00:00Z"


def terminated(exit_code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    """Returns the state of a container that has ended."""
    return {"terminated": {"exitCode": exit_code, "reason": reason, "message": message}}


class Operator:
    """Changes a job's pods and status as an operator and the kubelet would."""

    kind: JobKind

    def __init__(self, api: Api, proxy: Proxy, job: Job):
        self._api = api
        self._proxy = proxy
        self._job = job
        self.pods = f"/api/v1/namespaces/{api.namespace}/pods"
        self.path = f"{self.kind.path(api.namespace)}/{job.name}"

    def pod_name(self, node: int) -> str:
        """The name of a node's pod."""
        raise NotImplementedError

    def pod_labels(self, node: int) -> dict[str, str]:
        """The labels that the operator gives a node's pod."""
        raise NotImplementedError

    def conditions_running(self) -> list[dict[str, Any]]:
        """The conditions of a job whose pods run."""
        return []

    def conditions_succeeded(self) -> list[dict[str, Any]]:
        """The conditions that a successful job gets."""
        raise NotImplementedError

    def conditions_failed(self, message: str) -> list[dict[str, Any]]:
        """The conditions that a failed job gets."""
        raise NotImplementedError

    def conditions_late(self) -> list[dict[str, Any]]:
        """The conditions that a job gets at its deadline."""
        raise NotImplementedError

    def denied_event(self, message: str) -> dict[str, Any]:
        """The event after the API server has refused a pod, without type and time."""
        raise NotImplementedError

    def create_pods(self) -> list[str]:
        """Creates the pods of all nodes as soon as the job exists."""
        eventually(self.job)
        return [self.create_pod(node) for node in range(self._job.options.num_nodes)]

    def create_pod(self, node: int) -> str:
        """Creates the pod of one node, owned by the job."""
        name = self.pod_name(node)
        job = self.job()
        assert job
        owner = {
            "apiVersion": self.kind.group_version,
            "kind": self.kind.title,
            "name": self._job.name,
            "uid": job["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        container = {"name": self.kind.container, "image": "none"}
        metadata = {"name": name, "labels": self.pod_labels(node), "ownerReferences": [owner]}
        spec = {"containers": [container], "automountServiceAccountToken": False}
        self._api.create(self.pods, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        return name

    def deny_pods(self, message: str) -> None:
        """Reports pods that the API server refuses, as Pod Security or a quota does."""
        job = eventually(self.job)
        event = self.denied_event(message)
        event["involvedObject"] |= {"namespace": self._api.namespace, "uid": job["metadata"]["uid"]}
        event |= {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "denied"}, "type": "Warning"}
        self._api.create(f"/api/v1/namespaces/{self._api.namespace}/events", {**event, "lastTimestamp": _TIME})

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
            container = {"name": self.kind.container, "image": "none", "imageID": "", "ready": False, "state": state}
            body["containerStatuses"] = [{**container, "lastState": last_state or {}, "restartCount": restarts}]
        self._api.patch(f"{self.pods}/{name}/status", {"status": body})

    def run_pods(self) -> list[str]:
        """Creates all pods and starts them."""
        names = self.create_pods()
        for name in names:
            self.set_pod(name, "Running", RUNNING)
        self.set_conditions(self.conditions_running())
        return names

    def succeed(self) -> None:
        """Ends the job and its pods well."""
        self._end()
        self.set_conditions(self.conditions_succeeded())

    def fail(self, message: str = "") -> None:
        """Ends the job after too many failures of its pods."""
        self._end()
        self.set_conditions(self.conditions_failed(message))

    def exceed_deadline(self) -> None:
        """Ends the job at its deadline: its pods are deleted."""
        self._end()
        for pod in self._api.get(self.pods)["items"]:
            self.delete_pod(pod["metadata"]["name"])
        self.set_conditions(self.conditions_late())

    def job(self) -> dict[str, Any] | None:
        """The job's object."""
        listing = self._api.get(self.kind.path(self._api.namespace))
        return next((item for item in listing["items"] if item["metadata"]["name"] == self._job.name), None)

    def set_condition(self, name: str, message: str = "", reason: str = "", status: str = "True") -> None:
        """Sets one condition; if the job ends, its containers and their logs end, too."""
        if name in ("Succeeded", "Complete", "Failed"):
            self._end()
        self.set_conditions([condition(name, reason or f"Job{name}", message, status)])

    def set_conditions(self, new: list[dict[str, Any]]) -> None:
        """Adds conditions to the job's status, or replaces those of the same type."""
        job = self.job()
        assert job
        types = {item["type"] for item in new}
        old = [item for item in job.get("status", {}).get("conditions") or [] if item["type"] not in types]
        self._api.patch(f"{self.path}/status", {"status": {"conditions": old + new}})

    def set_suspend(self, suspend: bool) -> None:
        """Suspends or admits the job, as Kueue does; the operator then says so in a condition."""
        self._api.patch(self.path, {"spec": {"suspend": suspend}})
        reason = "Suspended" if suspend else "Resumed"
        self.set_conditions([condition("Suspended", reason, f"the job is {reason.lower()}", str(suspend))])

    def _end(self) -> None:
        for pod in self._api.get(self.pods)["items"]:
            self._proxy.close_log(pod["metadata"]["name"])


class TrainingOperator(Operator):
    """training-operator 1.9: pkg/controller.v1/pytorch, pkg/controller.v1/common and pkg/util/status.go."""

    kind = PYTORCHJOB

    def pod_name(self, node: int) -> str:
        return f"{self._job.name}-worker-{node - 1}" if node else f"{self._job.name}-master-0"

    def pod_labels(self, node: int) -> dict[str, str]:
        role, index = ("worker", node - 1) if node else ("master", 0)
        return {
            "training.kubeflow.org/job-name": self._job.name,
            "training.kubeflow.org/replica-type": role,
            "training.kubeflow.org/replica-index": str(index),
            **({"training.kubeflow.org/job-role": "master"} if node == 0 else {}),
        }

    def conditions_running(self) -> list[dict[str, Any]]:
        title = f"PyTorchJob {self._job.name}"
        return [
            condition("Created", "PyTorchJobCreated", f"{title} is created."),
            condition("Running", "PyTorchJobRunning", f"{title} is running."),
        ]

    def conditions_succeeded(self) -> list[dict[str, Any]]:
        text = f"PyTorchJob {self._job.name} is successfully completed."
        return [self._not_running(), condition("Succeeded", "PyTorchJobSucceeded", text)]

    def conditions_failed(self, message: str) -> list[dict[str, Any]]:
        text = message or f"PyTorchJob {self._job.name} is failed because 1 Worker replica(s) failed."
        return [self._not_running(), condition("Failed", "PyTorchJobFailed", text)]

    def conditions_late(self) -> list[dict[str, Any]]:
        return self.conditions_failed(
            f"Job {self._job.name} has failed because it was active longer than specified deadline"
        )

    def denied_event(self, message: str) -> dict[str, Any]:
        about = {"apiVersion": self.kind.group_version, "kind": "PyTorchJob", "name": self._job.name}
        return {"reason": "FailedCreatePod", "message": f"Error creating: {message}", "involvedObject": about}

    def set_suspend(self, suspend: bool) -> None:
        self._api.patch(self.path, {"spec": {"runPolicy": {"suspend": suspend}}})
        reason = "Suspended" if suspend else "Resumed"
        text = f"PyTorchJob {self._job.name} is {reason.lower()}."
        self.set_conditions([condition("Suspended", f"PyTorchJob{reason}", text, str(suspend))])

    def _not_running(self) -> dict[str, Any]:
        text = f"PyTorchJob {self._job.name} is running."
        return condition("Running", "PyTorchJobRunning", text, "False")


class JobController(Operator):
    """Kubernetes 1.31 or newer: pkg/controller/job/job_controller.go."""

    kind = BATCHJOB

    def pod_name(self, node: int) -> str:
        return f"{self._job.name}-abcd{node}"

    def pod_labels(self, node: int) -> dict[str, str]:
        return {"batch.kubernetes.io/job-name": self._job.name, "job-name": self._job.name}

    def conditions_succeeded(self) -> list[dict[str, Any]]:
        text = "Reached expected number of succeeded pods"
        return [condition(name, "CompletionsReached", text) for name in ("SuccessCriteriaMet", "Complete")]

    def conditions_failed(self, message: str) -> list[dict[str, Any]]:
        return self._failure("BackoffLimitExceeded", "Job has reached the specified backoff limit")

    def conditions_late(self) -> list[dict[str, Any]]:
        return self._failure("DeadlineExceeded", "Job was active longer than specified deadline")

    def denied_event(self, message: str) -> dict[str, Any]:
        about = {"apiVersion": "batch/v1", "kind": "Job", "name": self._job.name}
        return {"reason": "FailedCreate", "message": f"Error creating: {message}", "involvedObject": about}

    @staticmethod
    def _failure(reason: str, message: str) -> list[dict[str, Any]]:
        return [condition(name, reason, message) for name in ("FailureTarget", "Failed")]


class Trainer(Operator):
    """Kubeflow Trainer 2.3 with JobSet 0.12.

    pkg/controller/trainjob_controller.go and pkg/runtime/framework/plugins/jobset/jobset.go of Trainer; of JobSet
    pkg/controllers/jobset_controller.go. The TrainJob's JobSet has its name, and the JobSet's Job creates the pods. A
    TrainJob has no condition while it runs.
    """

    kind = TRAINJOB

    @property
    def _inner_job(self) -> str:
        return f"{self._job.name}-node-0"

    def pod_name(self, node: int) -> str:
        return f"{self._inner_job}-{node}-abcde"

    def pod_labels(self, node: int) -> dict[str, str]:
        return {
            "jobset.sigs.k8s.io/jobset-name": self._job.name,
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
            "jobset.sigs.k8s.io/job-index": "0",
            "batch.kubernetes.io/job-name": self._inner_job,
            "job-name": self._inner_job,
            "batch.kubernetes.io/job-completion-index": str(node),
        }

    def succeed(self) -> None:
        super().succeed()
        self._set_jobs_status(succeeded=1)

    def fail(self, message: str = "") -> None:
        super().fail(message)
        self._set_jobs_status(failed=1)

    def conditions_succeeded(self) -> list[dict[str, Any]]:
        return [condition("Complete", "AllJobsCompleted", "jobset completed successfully")]

    def conditions_failed(self, message: str) -> list[dict[str, Any]]:
        text = f"jobset failed due to one or more job failures (first failed job: {self._inner_job})"
        return [condition("Failed", "FailedJobs", text)]

    def conditions_late(self) -> list[dict[str, Any]]:
        return [condition("Failed", "DeadlineExceeded", "TrainJob exceeded its active deadline")]

    def denied_event(self, message: str) -> dict[str, Any]:
        about = {"apiVersion": "batch/v1", "kind": "Job", "name": self._inner_job}
        return {"reason": "FailedCreate", "message": f"Error creating: {message}", "involvedObject": about}

    def _set_jobs_status(self, **counts: int) -> None:
        status = dict.fromkeys(("active", "failed", "ready", "succeeded", "suspended"), 0)
        self._api.patch(f"{self.path}/status", {"status": {"jobsStatus": [{"name": "node", **status, **counts}]}})


OPERATORS: dict[str, type[Operator]] = {one.kind.title: one for one in (TrainingOperator, Trainer, JobController)}


def condition(name: str, reason: str, message: str, status: str = "True") -> dict[str, Any]:
    """Returns a condition of a job's status."""
    return {"type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": _TIME}
