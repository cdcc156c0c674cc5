"""A training job, independent of the kind of object that runs it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compaware.components.launch.options import JobOptions

_SHORTEST_TTL_S = 60
_DRAINS = 10


@dataclass(frozen=True)
class Job:
    """A job that runs one component.

    Attributes:
        name: Name of the object in the cluster; always the same for one task of one run.
        component: The component's folder name.
        config: The component's configuration.
        options: Where the job runs, its size and its limits.
        owners: ownerReferences; the job is deleted with its owners.
        lease: ownerReference of the job's lease, which replaces `owners`; see `lease.py`.
    """

    name: str
    component: str
    config: dict[str, Any]
    options: JobOptions
    owners: tuple[dict[str, Any], ...] = ()
    lease: dict[str, Any] | None = None

    @property
    def workflow(self) -> str:
        """Name of the Workflow of the job's run; empty outside a run."""
        return next((owner["name"] for owner in self.owners if owner["kind"] == "Workflow"), "")

    @property
    def deadline_s(self) -> int:
        """Seconds after which the job fails."""
        return max(1, round(self.options.timeout_hours * 3600))

    @property
    def ttl_s(self) -> int:
        """Seconds that the finished job is kept, at least as long as operator and launcher need to see its end."""
        return max(_SHORTEST_TTL_S, round(self.options.keep_finished_hours * 3600))

    @property
    def backoff_limit(self) -> int:
        """`backoffLimit` of a batch Job, which limits restarts when no launcher is running.

        The Job controller counts the restarts of all pods. A lost node causes one restart in each pod. The job ends at
        the limit, not above it. The controller also counts drained and preempted pods, which are not failures.
        """
        return (self.options.max_restarts + _DRAINS) * self.options.num_nodes + 1


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
        event_suffixes: Suffixes of the job's name. Events of the objects with these names explain missing pods.
        required_fields: Fields of the spec that older versions of the kind drop without an error.
        requirement: What to install on a cluster that drops them.
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
    event_suffixes: tuple[str, ...] = ("",)
    required_fields: tuple[str, ...] = ()
    requirement: str = ""

    @property
    def group(self) -> str:
        """The API group."""
        return self.group_version.partition("/")[0]

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
