"""What a user can say about where and how a distributed training runs."""

import os
import re
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from compaware.components import images
from compaware.components.launch.site import CA_FOLDER

# Kubeflow Pipelines' own secret for its object store, and the variables that its keys become.
OBJECT_STORE_SECRET = "mlpipeline-minio-artifact"
OBJECT_STORE_KEYS = {"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS: dict[str, int | str] = {"": 1, "m": "0.001", "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_FACTORS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SECRET_NAME = re.compile(r"(^|_)(SECRET|PASSWORD|TOKEN|KEY)(_|$)", re.IGNORECASE)


class SecretKey(BaseModel):
    """One key of a Kubernetes secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret: str = Field(min_length=1, description="The secret's name.")
    key: str = Field(min_length=1, description="The key in it.")


class JobOptions(BaseModel):
    """Where a training runs, how large it is, and when it is given up."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    launcher: Literal["auto", "torchrun", "pytorchjob", "trainjob"] = Field(
        default="auto",
        description="torchrun: processes on this machine; pytorchjob: training-operator v1; trainjob: Kubeflow Trainer "
        "v2; auto: pytorchjob in a KFP pod, torchrun elsewhere.",
    )
    num_nodes: int = Field(default=1, ge=1, description="Nodes (pods) that train together.")
    processes_per_node: int = Field(default=1, ge=1, description="Training processes of one node.")
    cpu_per_node: str = Field(default="4", description="CPUs of one node, requested and at most.")
    memory_per_node: str = Field(default="16Gi", description="Memory of one node, requested and at most.")
    shm_size: str = Field(default="1Gi", description="Size of /dev/shm; it counts towards memory_per_node.")
    scratch_size: str = Field(default="20Gi", description="Disk of one node for downloads and work in progress.")
    min_nodes: int | None = Field(
        default=None, ge=1, description="Makes the job elastic (pytorchjob only): it goes on with this many nodes."
    )
    max_nodes: int | None = Field(default=None, ge=1, description="Most nodes of an elastic job; num_nodes by default.")
    max_restarts: int = Field(default=3, ge=0, description="How often a node may fail before the job does.")
    timeout_hours: float = Field(default=24.0, gt=0, description="Running longer than this fails the job.")
    pending_limit_minutes: float = Field(
        default=30.0, gt=0, description="Longest wait for pods to start (nodes, images); waiting in a queue is not it."
    )
    keep_finished_hours: float = Field(default=24.0, ge=0, description="The finished job and its pods stay this long.")
    image: str = Field(default=images.TRAINER, min_length=1, description="Image of the training pods.")
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        default="IfNotPresent", description="When nodes pull the image."
    )
    image_pull_secrets: list[str] = Field(default_factory=list, description="Secrets that the image is pulled with.")
    service_account: str | None = Field(default=None, description="Of the training pods; they get no token.")
    run_as_user: int | None = Field(
        default=1000,
        ge=1,
        description="Numeric user and volume group of the pods; null where the cluster chooses them (OpenShift).",
    )
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels that nodes must have.")
    tolerations: list[dict[str, Any]] = Field(default_factory=list, description="Taints that the pods accept.")
    priority_class: str | None = Field(default=None, description="Priority class of the pods (pytorchjob only).")
    queue_name: str | None = Field(default=None, description="Kueue LocalQueue that admits the job.")
    runtime: str = Field(default="torch-distributed", description="ClusterTrainingRuntime of a trainjob.")
    labels: dict[str, str] = Field(default_factory=dict, description="More labels of the job and its pods.")
    annotations: dict[str, str] = Field(default_factory=dict, description="More annotations of the pods.")
    env: dict[str, str] = Field(default_factory=dict, description="More environment variables; no secrets.")
    secret_env: dict[str, SecretKey] = Field(
        default_factory=dict, description="Variables from secrets: NAME -> {secret: …, key: …}."
    )
    storage_secret: str = Field(
        default=OBJECT_STORE_SECRET,
        description="Secret with the object store's keys `accesskey` and `secretkey`; empty where pods have others.",
    )
    volumes: dict[str, str] = Field(
        default_factory=dict, description="Persistent volume claims, for checkpoints or a model cache: name -> folder."
    )

    @field_validator("cpu_per_node", "memory_per_node", "shm_size", "scratch_size", mode="before")
    @classmethod
    def _is_quantity(cls, value: Any) -> Any:
        # KFP and YAML make a number of "4".
        text = f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value
        if not isinstance(text, str) or quantity(text) <= 0:
            raise ValueError("expected a quantity above zero such as 4, 500m or 16Gi")
        return text

    @field_validator("volumes")
    @classmethod
    def _absolute(cls, volumes: dict[str, str]) -> dict[str, str]:
        for claim, folder in volumes.items():
            if not folder.startswith("/") or folder.rstrip("/") in ("", "/tmp", "/work", "/dev/shm", CA_FOLDER):
                raise ValueError(f"{claim} is mounted at '{folder}': choose an absolute folder that is not in use")
        return volumes

    # On the model, whose message does not repeat the value: it may be a secret.
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
            raise ValueError(f"memory_per_node is {self.memory_per_node}, in bytes: write a unit, such as 16Gi")
        if quantity(self.shm_size) >= quantity(self.memory_per_node):
            raise ValueError(f"shm_size ({self.shm_size}) must be below memory_per_node ({self.memory_per_node})")
        if self.min_nodes is None and self.max_nodes is not None:
            raise ValueError("max_nodes needs min_nodes: both make the job elastic")
        if self.min_nodes is not None and not self.min_nodes <= self.num_nodes <= (self.max_nodes or self.num_nodes):
            raise ValueError(f"num_nodes ({self.num_nodes}) must lie between min_nodes and max_nodes")
        if self.launcher == "trainjob" and (self.min_nodes is not None or self.priority_class is not None):
            raise ValueError("min_nodes and priority_class are not for launcher trainjob: put them into its runtime")
        return self

    def resolved_launcher(self) -> Literal["torchrun", "pytorchjob", "trainjob"]:
        """The launcher that auto stands for: a job in a pod of a KFP run, processes here elsewhere."""
        if self.launcher == "auto":
            return "pytorchjob" if "KFP_POD_NAME" in os.environ else "torchrun"
        return self.launcher

    @property
    def threads(self) -> int:
        """OpenMP threads of one process: the node's CPUs shared out, at least one."""
        return max(1, int(quantity(self.cpu_per_node) / self.processes_per_node))


def quantity(text: str) -> Decimal:
    """The number that a Kubernetes quantity means: 500m is 0.5, 1Gi is 2**30; 0 for what is none."""
    match = _QUANTITY.fullmatch(text)
    return Decimal(match[1]) * Decimal(_FACTORS[match[2] or ""]) if match else Decimal(0)
