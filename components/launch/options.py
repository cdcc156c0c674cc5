"""Options of a distributed training job."""

import os
import re
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from compaware.components import images
from compaware.components.core.base.store_names import KFP_SECRET
from compaware.components.launch.site import CA_FOLDER

# Prefix of `runtime` for a TrainingRuntime of the namespace, as kubectl writes it.
NAMESPACED_RUNTIME = "trainingruntime/"
Launcher = Literal["auto", "torchrun", "trainjob", "pytorchjob", "job"]
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS: dict[str, int | str] = {"": 1, "m": "0.001", "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_FACTORS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SECRET_NAME = re.compile(r"(^|_)(SECRET|PASSWORD|TOKEN|KEY)(_|$)", re.IGNORECASE)


class SecretKey(BaseModel):
    """A key of a Kubernetes secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: str = Field(min_length=1, description="Name of the secret.")
    key: str = Field(min_length=1, description="Key in the secret.")


class JobOptions(BaseModel):
    """Where a training job runs, its size and its limits."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    launcher: Launcher = Field(
        default="auto",
        description="trainjob: Kubeflow Trainer 2.2 or newer; pytorchjob: training-operator v1; job: a batch Job, one "
        "node without an operator; torchrun: processes on this machine; auto: in a KFP pod the first of trainjob, "
        "pytorchjob and job that the cluster serves and the options allow, torchrun elsewhere.",
    )
    num_nodes: int = Field(default=1, ge=1, description="Nodes (pods) that train together.")
    processes_per_node: int = Field(default=1, ge=1, description="Training processes on each node.")
    cpu_per_node: str = Field(default="4", description="CPUs of one node (request and limit).")
    memory_per_node: str = Field(default="16Gi", description="Memory of one node (request and limit).")
    shm_size: str = Field(default="1Gi", description="Size of /dev/shm; it counts towards memory_per_node.")
    scratch_size: str = Field(default="20Gi", description="Disk space of one node for downloads and scratch files.")
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
        default=24.0, ge=0, description="A finished job and its pods are kept this long."
    )
    image: str = Field(
        default=images.TRAINER,
        min_length=1,
        description="Image of the training pods; in a pipeline, by default the trainer beside the task's own image.",
    )
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        default="IfNotPresent", description="When nodes pull the image."
    )
    image_pull_secrets: list[str] = Field(
        default_factory=list,
        description="Secrets for pulling the image; in a pipeline, by default those of the task's pod.",
    )
    service_account: str | None = Field(
        default=None, description="Service account of the training pods; they get no token."
    )
    run_as_user: int | None = Field(
        default=1000,
        ge=1,
        description="Numeric user and volume group of the pods; null if the cluster assigns them (OpenShift).",
    )
    node_selector: dict[str, str] = Field(default_factory=dict, description="Required labels of the nodes.")
    tolerations: list[dict[str, Any]] = Field(default_factory=list, description="Tolerations of the pods.")
    priority_class: str | None = Field(default=None, description="Priority class of the pods.")
    queue_name: str | None = Field(default=None, description="Kueue LocalQueue that admits the job.")
    runtime: str | None = Field(
        default=None,
        min_length=1,
        description="Runtime of a trainjob: the name of a ClusterTrainingRuntime, or trainingruntime/NAME for a "
        "TrainingRuntime; by default the launcher creates one for the job.",
    )
    labels: dict[str, str] = Field(default_factory=dict, description="Additional labels of the job and its pods.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Additional annotations of the pods.")
    env: dict[str, str] = Field(default_factory=dict, description="Additional environment variables; no secrets.")
    secret_env: dict[str, SecretKey] = Field(
        default_factory=dict, description="Environment variables from secrets: NAME -> {secret: …, key: …}."
    )
    storage_secret: str = Field(
        default=KFP_SECRET,
        description="Secret with the object store's keys `accesskey` and `secretkey`, for the job and the task that "
        "starts it; empty for other credentials.",
    )
    volumes: dict[str, str] = Field(
        default_factory=dict,
        description="Persistent volume claims, for example for a model cache: name -> mount folder.",
    )

    @field_validator("cpu_per_node", "memory_per_node", "shm_size", "scratch_size", mode="before")
    @classmethod
    def _is_quantity(cls, value: Any) -> Any:
        # KFP and YAML turn "4" into a number.
        text = f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value
        if not isinstance(text, str) or quantity(text) <= 0:
            raise ValueError("expected a quantity above zero, such as 4, 500m or 16Gi")
        return text

    @field_validator("volumes")
    @classmethod
    def _absolute(cls, volumes: dict[str, str]) -> dict[str, str]:
        for claim, folder in volumes.items():
            if not folder.startswith("/") or folder.rstrip("/") in ("", "/tmp", "/work", "/dev/shm", CA_FOLDER):
                raise ValueError(f"{claim} is mounted at '{folder}': choose an absolute folder that is not in use")
        return volumes

    # A validator of the model, because its message does not show the value, which may be a secret.
    @model_validator(mode="after")
    def _no_secret(self) -> Self:
        for name in self.env:
            if _SECRET_NAME.search(name):
                raise ValueError(
                    f"{name} looks like a secret: move it from env to secret_env, as {{secret: …, key: …}}"
                )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if quantity(self.memory_per_node) < 2**20:
            raise ValueError(f"memory_per_node is {self.memory_per_node}, which means bytes: add a unit, such as 16Gi")
        if quantity(self.shm_size) >= quantity(self.memory_per_node):
            raise ValueError(f"shm_size ({self.shm_size}) must be below memory_per_node ({self.memory_per_node})")
        if self.min_nodes is None and self.max_nodes is not None:
            raise ValueError("max_nodes needs min_nodes: both make the job elastic")
        if self.min_nodes is not None and not self.min_nodes <= self.num_nodes <= (self.max_nodes or self.num_nodes):
            raise ValueError(f"num_nodes ({self.num_nodes}) must be between min_nodes and max_nodes")
        if reason := self.unsupported_by(self.launcher):
            raise ValueError(reason)
        return self

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
        if launcher == "trainjob" and self.runtime is not None:
            for name in ("image_pull_policy", "keep_finished_hours", "priority_class"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    return f"{name} has no effect with runtime {self.runtime}: set it there, or leave out `runtime`"
        return ""

    @property
    def threads(self) -> int:
        """OpenMP threads of one process: its share of the node's CPUs, at least one."""
        return max(1, int(quantity(self.cpu_per_node) / self.processes_per_node))


def quantity(text: str) -> Decimal:
    """Returns the value of a Kubernetes quantity: 0.5 for 500m, 2**30 for 1Gi, 0 for an invalid text."""
    match = _QUANTITY.fullmatch(text)
    return Decimal(match[1]) * Decimal(_FACTORS[match[2] or ""]) if match else Decimal(0)
