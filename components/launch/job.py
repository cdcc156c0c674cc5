"""A training job, independent of the kind of object that runs it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compaware.components.launch.options import JobOptions


@dataclass(frozen=True)
class Job:
    """A job that runs one component.

    Attributes:
        name: Name of the object in the cluster; always the same for one task of one run.
        component: The component's folder name.
        config: The component's configuration.
        options: Where the job runs, its size and its limits.
        owners: ownerReferences; the job is deleted with its owners.
    """

    name: str
    component: str
    config: dict[str, Any]
    options: JobOptions
    owners: tuple[dict[str, Any], ...] = ()

    @property
    def workflow(self) -> str:
        """Name of the Workflow of the job's run; empty outside a run."""
        return next((owner["name"] for owner in self.owners if owner["kind"] == "Workflow"), "")


@dataclass(frozen=True)
class JobKind:
    """The differences between kinds of jobs.

    Attributes:
        title: The kind's name in its API.
        group_version: API group and version.
        plural: Name in URLs.
        container: Name of the training container.
        succeeded: Type of the condition of a successful job.
        name_label: Label of the pods with the job's name.
        main_labels: Labels of the pod that runs rank 0.
        replica_labels: Labels that together identify a pod within its job.
        manifest: Creates the object of a job.
    """

    title: str
    group_version: str
    plural: str
    container: str
    succeeded: str
    name_label: str
    main_labels: dict[str, str]
    replica_labels: tuple[str, ...]
    manifest: Callable[[Job], dict[str, Any]]

    def path(self, namespace: str) -> str:
        """Returns the API path of the jobs in a namespace."""
        return f"/apis/{self.group_version}/namespaces/{namespace}/{self.plural}"

    def is_main(self, pod: dict[str, Any]) -> bool:
        """Whether a pod runs rank 0."""
        labels = pod["metadata"].get("labels", {})
        return all(labels.get(key) == value for key, value in self.main_labels.items())

    def replica(self, pod: dict[str, Any]) -> str:
        """Returns the pod's number within its job, which a replacement pod keeps."""
        labels = pod["metadata"].get("labels", {})
        return "-".join(labels.get(key, "") for key in self.replica_labels)


def job_name(component: str, run: str, task: str) -> str:
    """Returns the job's name, always the same for one task of one run, so that a task cannot have two jobs.

    Args:
        component: The component's folder name.
        run: Id of the run.
        task: Identifies the task within its run, including the iteration of a loop.
    """
    digest = hashlib.sha256(f"{run}\n{task}".encode()).hexdigest()[:10]
    return f"{component.replace('_', '-')[:30].strip('-')}-{digest}"
