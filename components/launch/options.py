"""Options of a distributed training job."""

import os
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from compaware.components import images
from compaware.components.core.base.store_names import KFP_SECRET
from compaware.components.core.base.validation import validate
from compaware.components.launch.object_names import ObjectName, VariableName
from compaware.components.launch.pod_settings import DEFAULT, PodOptions, Pods, PodSettings, given, merge
from compaware.components.launch.quantities import Bytes, Quantity, quantity

# Prefix of `runtime` for a TrainingRuntime of the namespace, as kubectl writes it.
NAMESPACED_RUNTIME = "trainingruntime/"
Launcher = Literal["auto", "torchrun", "trainjob", "pytorchjob", "job"]
# In the order in which `auto` tries them in a cluster.
AUTOMATIC: tuple[Launcher, ...] = ("trainjob", "pytorchjob", "job")


class SecretKey(BaseModel):
    """A key of a Kubernetes secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: str = Field(min_length=1, description="Name of the secret.")
    key: str = Field(min_length=1, description="Key in the secret.")


class JobOptions(PodSettings):
    """Where a training job runs, its size and its limits."""

    launcher: Launcher = Field(
        default="auto",
        description="trainjob: Kubeflow Trainer 2.2 or newer; pytorchjob: training-operator v1; job: a batch Job, "
        "which has one node and needs no operator; torchrun: processes on this machine; auto: in a KFP pod the first "
        "of trainjob, pytorchjob and job that the cluster serves and the options allow, torchrun elsewhere.",
    )
    num_nodes: int = Field(default=1, ge=1, description="Nodes (pods) that train together.")
    processes_per_node: int = Field(
        default=1, ge=1, description="Training processes on each node; with GPUs, gpus_per_node by default."
    )
    gpus_per_node: int = Field(
        default=0, ge=0, description="NVIDIA GPUs of one node; `image` must contain a CUDA build of PyTorch."
    )
    cpu_per_node: Quantity = Field(default="4", description="CPUs of one node (request and limit).")
    memory_per_node: Bytes = Field(default="16Gi", description="Memory of one node (request and limit).")
    shm_size: Bytes = Field(default="1Gi", description="Size of /dev/shm; it counts towards memory_per_node.")
    scratch_size: Bytes = Field(default="20Gi", description="Disk space of one node for downloads and scratch files.")
    min_nodes: int | None = Field(
        default=None,
        ge=1,
        description="Makes the job elastic (pytorchjob only): it continues with at least this many nodes.",
    )
    max_nodes: int | None = Field(
        default=None, ge=1, description="Maximum number of nodes of an elastic job; num_nodes by default."
    )
    max_restarts: int = Field(default=3, ge=0, description="Number of failures of a node after which the job fails.")
    timeout_hours: float = Field(default=24.0, gt=0, description="A job that runs longer fails.")
    pending_limit_minutes: float = Field(
        default=30.0,
        gt=0,
        description="Longest wait for pods to start (nodes, images); waiting in a queue does not count.",
    )
    keep_finished_hours: float = Field(
        default=1.0,
        ge=0,
        description="A finished job and its pods are kept this long, but not longer than the run's Workflow, which KFP "
        "deletes an hour after its end.",
    )
    image: str = Field(
        default=images.TRAINER,
        min_length=1,
        description="Image of the training pods; in a pipeline, by default the trainer image of the task's registry "
        "and tag.",
    )
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        default="IfNotPresent", description="When nodes pull the image."
    )
    image_pull_secrets: list[ObjectName] = Field(
        default_factory=list,
        description="Secrets for pulling the image; in a pipeline, by default those of the task's pod.",
    )
    queue_name: ObjectName | None = Field(default=None, description="Kueue LocalQueue that admits the job.")
    runtime: str | None = Field(
        default=None,
        min_length=1,
        description="Runtime of a trainjob: the name of a ClusterTrainingRuntime, or trainingruntime/NAME for a "
        "TrainingRuntime; by default the launcher creates one for the job.",
    )
    secret_env: dict[VariableName, SecretKey] = Field(
        default_factory=dict, description="Environment variables from secrets: NAME -> {secret: …, key: …}."
    )
    storage_secret: ObjectName = Field(
        default=KFP_SECRET,
        description="Secret with the object store's keys `accesskey` and `secretkey`, for the job and the task that "
        "starts it; empty for other credentials.",
    )

    pods: dict[str, PodOptions] = Field(
        default_factory=dict,
        description="Settings of pods: component, `default` or `launcher` -> settings (docs/cluster.md). For tasks "
        "that do not train, only `compaware submit` and `compaware schedule` apply them.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_process_per_gpu(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("gpus_per_node"):
            return {"processes_per_node": values["gpus_per_node"], **values}
        return values

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if quantity(self.shm_size) >= quantity(self.memory_per_node):
            raise ValueError(f"shm_size ({self.shm_size}) must be below memory_per_node ({self.memory_per_node})")
        if self.gpus_per_node and self.processes_per_node > self.gpus_per_node:
            raise ValueError(
                f"processes_per_node ({self.processes_per_node}) must not exceed gpus_per_node ({self.gpus_per_node}): "
                "each process trains on a GPU of its own"
            )
        if self.min_nodes is None and self.max_nodes is not None:
            raise ValueError("max_nodes needs min_nodes: both make the job elastic")
        if self.min_nodes is not None and not self.min_nodes <= self.num_nodes <= (self.max_nodes or self.num_nodes):
            raise ValueError(f"num_nodes ({self.num_nodes}) must be between min_nodes and max_nodes")
        launchers = AUTOMATIC if self.launcher == "auto" else (self.launcher,)
        reasons = [self.unsupported_by(launcher) for launcher in launchers]
        if all(reasons):
            raise ValueError("; ".join(reasons))
        return self

    def for_component(self, component: str, site: Pods, task: Mapping[str, Any] | None = None) -> Self:
        """Returns the options of the job of one component, with what `pods` and the site set for its pods.

        The run takes precedence over the task, the task over the site, a component's entry over the options, and these
        over `default`.

        Args:
            component: The component's folder name.
            site: The site's settings by component.
            task: Options that a pipeline sets for the task that starts the job.

        Raises:
            UserError: The settings do not fit together.
        """
        own = given(self)
        entries = own.pop("pods", {})
        layers = [given(site.get(DEFAULT)), given(site.get(component)), task or {}, entries.get(DEFAULT, {})]
        values = merge(*map(_of_node, layers), own, _of_node(entries.get(component, {})))
        return validate(type(self), values)

    def resolved_launcher(self) -> Launcher:
        """Returns the launcher; `auto` is torchrun outside a KFP pod."""
        if self.launcher == "auto" and "KFP_POD_NAME" not in os.environ:
            return "torchrun"
        return self.launcher

    def unsupported_by(self, launcher: Launcher) -> str:
        """Returns why a launcher cannot run a job with these options; empty if it can."""
        if launcher in ("trainjob", "job") and self.min_nodes is not None:
            return f"launcher {launcher} does not support min_nodes: only a pytorchjob is elastic"
        if launcher == "job" and self.num_nodes > 1:
            return f"num_nodes is {self.num_nodes}, but launcher job has one node: choose trainjob or pytorchjob"
        if launcher in ("pytorchjob", "job") and self.runtime is not None:
            return f"launcher {launcher} has no `runtime`: leave it out, or choose trainjob"
        if launcher == "trainjob" and self.runtime is not None:
            for name in ("image_pull_policy", "keep_finished_hours", "priority_class", "topology_spread"):
                if getattr(self, name) != type(self).model_fields[name].get_default(call_default_factory=True):
                    return f"{name} has no effect with runtime {self.runtime}: set it there, or leave out `runtime`"
        return ""

    @property
    def threads(self) -> int:
        """OpenMP threads of one process: its share of the node's CPUs, at least one."""
        return max(1, int(quantity(self.cpu_per_node) / self.processes_per_node))


def _of_node(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings of pods under their names in `JobOptions`."""
    names = {"cpu": "cpu_per_node", "memory": "memory_per_node"}
    return {names.get(name, name): value for name, value in settings.items()}
