"""What a site or a run sets for pods: where they run, their size, and what is in them."""

import json
import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from compaware.components.core.base.errors import UserError
from compaware.components.launch.object_names import LabelKey, LabelValue, ObjectName, VariableName
from compaware.components.launch.quantities import Bytes, Quantity
from compaware.components.launch.site import CA_FOLDER
from compaware.components.storage.mappings import named_secrets

# Entries of `pods` that name no component: all pods, and the small pods that wait for a job.
DEFAULT = "default"
LAUNCHER = "launcher"
# Settings for which null is a value: the cluster then assigns the user.
NULLABLE = ("run_as_user",)
# Fields whose keys are merged; any other field is replaced as a whole.
_MERGED = ("node_selector", "labels", "annotations", "env", "secret_env", "volumes")
_SECRET_NAME = re.compile(r"(^|_)(SECRET|PASSWORD|TOKEN|KEY)(_|$)", re.IGNORECASE)
_AFFINITY_KEYS = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
_AFFINITIES = ("nodeAffinity", "podAffinity", "podAntiAffinity")
_TOLERATION_KEYS = ("key", "operator", "value", "effect", "tolerationSeconds")
_TOLERATION_VALUES = {
    "operator": ("Equal", "Exists", "Lt", "Gt"),
    "effect": ("NoSchedule", "PreferNoSchedule", "NoExecute"),
}
# In tolerations, affinities and spread constraints, all other values are texts.
_NUMBERS = ("weight", "maxSkew", "minDomains", "tolerationSeconds")
_SPREAD_KEYS = ("maxSkew", "topologyKey", "whenUnsatisfiable")


class PodSettings(BaseModel):
    """Where pods run and what is in them; the settings that jobs and tasks share."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    ephemeral_storage: Bytes | None = Field(
        default=None, description="Disk space of the node that a pod may use (request and limit)."
    )
    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict, description="Required labels of the nodes.")
    affinity: dict[str, Any] = Field(default_factory=dict, description="Affinity of the pods, as Kubernetes writes it.")
    topology_spread: list[dict[str, Any]] = Field(
        default_factory=list,
        description="Topology spread constraints of the pods, as Kubernetes writes them; without a labelSelector, they "
        "count the pods of the same component.",
    )
    tolerations: list[dict[str, Any]] = Field(default_factory=list, description="Tolerations of the pods.")
    priority_class: ObjectName | None = Field(default=None, description="Priority class of the pods.")
    service_account: ObjectName | None = Field(
        default=None, description="Service account of the training pods; they get no token."
    )
    run_as_user: int | None = Field(
        default=1000,
        ge=1,
        description="Numeric user and volume group of the pods; null if the cluster assigns them (OpenShift).",
    )
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, description="Additional labels of the job and its pods."
    )
    annotations: dict[LabelKey, str] = Field(default_factory=dict, description="Additional annotations of the pods.")
    env: dict[VariableName, str] = Field(
        default_factory=dict, description="Additional environment variables; no secrets."
    )
    volumes: dict[ObjectName, str] = Field(
        default_factory=dict,
        description="Persistent volume claims, for example for a model cache: name -> mount folder.",
    )

    @field_validator("volumes")
    @classmethod
    def _absolute(cls, volumes: dict[str, str]) -> dict[str, str]:
        for claim, folder in volumes.items():
            if not folder.startswith("/") or folder.rstrip("/") in ("", "/tmp", "/work", "/dev/shm", CA_FOLDER):
                raise ValueError(f"{claim} is mounted at '{folder}': choose an absolute folder that is not in use")
        if len(volumes) > len({folder.rstrip("/") for folder in volumes.values()}):
            raise ValueError("two claims have the same folder: choose another for one of them")
        return volumes

    @field_validator("affinity", "tolerations", "topology_spread")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        _require_texts(value)
        return value

    @field_validator("affinity")
    @classmethod
    def _known_affinity(cls, affinity: dict[str, Any]) -> dict[str, Any]:
        if unknown := affinity.keys() - set(_AFFINITIES):
            raise ValueError(f"unknown key '{min(unknown)}': choose from {', '.join(_AFFINITIES)}")
        for name, rules in affinity.items():
            if not isinstance(rules, dict) or (unknown := rules.keys() - set(_AFFINITY_KEYS)):
                wrong = f"has an unknown key '{min(unknown)}'" if isinstance(rules, dict) else "is no mapping"
                raise ValueError(f"{name} {wrong}: choose from {', '.join(_AFFINITY_KEYS)}")
        return affinity

    @field_validator("tolerations")
    @classmethod
    def _known_tolerations(cls, tolerations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for toleration in tolerations:
            if unknown := toleration.keys() - set(_TOLERATION_KEYS):
                raise ValueError(f"unknown key '{min(unknown)}': choose from {', '.join(_TOLERATION_KEYS)}")
            for key, possible in _TOLERATION_VALUES.items():
                if toleration.get(key) not in (None, "", *possible):
                    raise ValueError(f"{key} is {toleration[key]!r}: choose from {', '.join(possible)}")
            if toleration.get("operator") == "Exists" and toleration.get("value"):
                raise ValueError("a toleration with operator Exists has a value: choose Equal, or leave it out")
        return tolerations

    @field_validator("topology_spread")
    @classmethod
    def _complete_spread(cls, constraints: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for constraint in constraints:
            if missing := [key for key in _SPREAD_KEYS if key not in constraint]:
                raise ValueError(f"a constraint lacks {missing[0]}: it needs {', '.join(_SPREAD_KEYS)}")
            if constraint["whenUnsatisfiable"] not in ("DoNotSchedule", "ScheduleAnyway"):
                raise ValueError("whenUnsatisfiable: choose from DoNotSchedule, ScheduleAnyway")
        return constraints

    # A validator of the model, because its message does not show the value, which may be a secret.
    @model_validator(mode="after")
    def _no_secret(self) -> Self:
        for name in self.env:
            if _SECRET_NAME.search(name):
                raise ValueError(
                    f"{name} looks like a secret: move it from env to secret_env of job, as {{secret: …, key: …}}"
                )
        return self

    @model_validator(mode="after")
    def _valid_stores(self) -> Self:
        try:
            named_secrets(self.env)
        except UserError as error:
            raise ValueError(str(error)) from error
        return self


class PodOptions(PodSettings):
    """The settings of a stage's pods; those that are not given stay as they are."""

    cpu: Quantity | None = Field(default=None, description="CPUs of a pod (request and limit).")
    memory: Bytes | None = Field(default=None, description="Memory of a pod (request and limit).")


Pods = Mapping[str, PodOptions]


class RunLimits(BaseModel):
    """Limits of all runs of a pipeline, for KFP 2.17 or newer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout_hours: float | None = Field(default=None, gt=0, description="A run that takes longer fails.")
    keep_finished_hours: float | None = Field(
        default=None, gt=0, description="An ended run's Workflow, pods and jobs are deleted after this time."
    )


class SiteSettings(BaseModel):
    """The settings of a site, which a compiled pipeline contains."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    pods: dict[str, PodOptions] = Field(
        default_factory=dict, description="Settings of pods: component, `default` or `launcher` -> settings."
    )
    runs: RunLimits = Field(default_factory=RunLimits, description="Limits of runs.")


def _require_texts(value: Any, key: str = "") -> None:
    """Checks that values are texts, except the known numbers: YAML reads `value: true` of a toleration as a boolean."""
    if isinstance(value, dict):
        for name, item in value.items():
            _require_texts(item, name)
    elif isinstance(value, list):
        for item in value:
            _require_texts(item, key)
    elif isinstance(value, bool | int | float) and key not in _NUMBERS:
        raise ValueError(f"{key} is {json.dumps(value)}: write it in quotes")
    elif isinstance(value, str) and key in _NUMBERS:
        raise ValueError(f"{key} is {json.dumps(value)}: expected a number without quotes")


def given(options: BaseModel | None) -> dict[str, Any]:
    """Returns the settings that were given; null means not given, unless the cluster assigns the user."""
    written = options.model_dump(exclude_unset=True) if options else {}
    return {name: value for name, value in written.items() if value is not None or name in NULLABLE}


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merges settings; those of a later layer take precedence."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            merged[name] = {**merged.get(name, {}), **value} if name in _MERGED else value
    return merged
