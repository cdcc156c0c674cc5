"""The training job that is wanted, whatever kind of object will run it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compaware.components.launch.options import JobOptions


@dataclass(frozen=True)
class Job:
    """One run of one component.

    Attributes:
        name: Name of the object in the cluster; the same for the same task of the same run.
        component: The component's folder name.
        config: The component's configuration.
        options: How large, where and for how long.
        owners: ownerReferences: with them, the job goes when they go.
    """

    name: str
    component: str
    config: dict[str, Any]
    options: JobOptions
    owners: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class JobKind:
    """What differs between kinds of jobs.

    Attributes:
        title: The kind, as its API calls it.
        group_version: API group and version.
        plural: Name in URLs.
        container: The container that trains.
        succeeded: Type of the condition that means success.
        name_label: Label of the pods that holds the job's name.
        main_labels: Labels of the pod that runs rank 0.
        replica_labels: Labels that together number a pod within its job.
        manifest: Makes the object of a job.
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
        """Where the API server keeps the jobs of a namespace."""
        return f"/apis/{self.group_version}/namespaces/{namespace}/{self.plural}"

    def is_main(self, pod: dict[str, Any]) -> bool:
        """Whether a pod runs rank 0."""
        labels = pod["metadata"].get("labels", {})
        return all(labels.get(key) == value for key, value in self.main_labels.items())

    def replica(self, pod: dict[str, Any]) -> str:
        """The pod's number within its job; a pod that replaces another has the same."""
        labels = pod["metadata"].get("labels", {})
        return "-".join(labels.get(key, "") for key in self.replica_labels)


def job_name(component: str, run: str, task: str) -> str:
    """A name that is the same for the same task of the same run: it makes a second job for one task impossible.

    Args:
        component: The component's folder name.
        run: Id of the run.
        task: What tells the task from the others of its run, iterations of a loop included.
    """
    digest = hashlib.sha256(f"{run}\n{task}".encode()).hexdigest()[:10]
    return f"{component.replace('_', '-')[:30].strip('-')}-{digest}"
