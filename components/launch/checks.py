"""Checks of a job's manifest for errors that the API server accepts and the operator does not."""

import re
from typing import Any

from compaware.components.core.base.errors import UserError
from compaware.components.launch.quantities import quantity

MAX_NAME_LENGTH = 63
# Linux does not start a process with a longer variable.
MAX_VARIABLE_BYTES = 128 * 1024 - 1
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check(manifest: dict[str, Any]) -> None:
    """Checks a PyTorchJob, TrainJob or batch Job.

    Raises:
        UserError: The operator would reject the job, or its pods would not start.
    """
    if manifest["kind"] == "PyTorchJob":
        _check_pytorchjob(manifest)
    elif manifest["kind"] == "Job":
        # Names of its pods: <name>-<five letters>.
        check_name(manifest["metadata"]["name"], "-xxxxx")
        _check_containers(manifest["spec"]["template"])
    else:
        trainer = manifest["spec"]["trainer"]
        # Names of JobSet's pods: <name>-node-0-<node>-<five letters>.
        check_name(manifest["metadata"]["name"], f"-node-0-{trainer['numNodes'] - 1}-xxxxx")
        check_environment(trainer["env"])
        _check_resources(trainer["resourcesPerNode"])


def _check_pytorchjob(manifest: dict[str, Any]) -> None:
    spec = manifest["spec"]
    replica_specs = spec["pytorchReplicaSpecs"]
    for kind, replica in replica_specs.items():
        if kind not in ("Master", "Worker"):
            raise UserError(f"'{kind}' is not a replica type of a PyTorchJob: choose Master or Worker")
        replicas = replica.get("replicas")
        if kind == "Master" and replicas != 1:
            raise UserError(f"a PyTorchJob's Master has {replicas} replicas: write 1")
        check_name(manifest["metadata"]["name"], f"-{kind.lower()}-{replicas - 1}")
        containers = replica["template"]["spec"]["containers"]
        names = [container["name"] for container in containers]
        if "pytorch" not in names:
            raise UserError(f"a PyTorchJob's container must be named 'pytorch', not {names}")
        _check_containers(replica["template"])
    if "Master" not in replica_specs and "elasticPolicy" not in spec:
        raise UserError("a PyTorchJob without a Master is not elastic: add a Master or an elasticPolicy")
    if not isinstance(spec.get("nprocPerNode"), str):
        raise UserError(f"a PyTorchJob's nprocPerNode must be a string: write '{spec.get('nprocPerNode')}'")
    if "backoffLimit" not in spec["runPolicy"]:
        raise UserError("a PyTorchJob that restarts pods needs a backoffLimit: without one, it restarts them forever")


def check_name(name: str, suffix: str) -> None:
    """Checks that a job's name is valid and that the names of its pods, which end with `suffix`, are short enough.

    Raises:
        UserError: The name is not a DNS-1035 label, or is too long.
    """
    if not _DNS_1035.fullmatch(name):
        raise UserError(f"the job's name '{name}' must begin with a letter and contain only a-z, 0-9 and '-'")
    if len(name + suffix) > MAX_NAME_LENGTH:
        raise UserError(
            f"the job's name '{name}' is longer than {MAX_NAME_LENGTH - len(suffix)} characters: shorten it"
        )


def check_environment(variables: list[dict[str, Any]]) -> None:
    """Checks the names and sizes of environment variables.

    Raises:
        UserError: A name is invalid, or a value is too large to start a process with.
    """
    for variable in variables:
        name = variable["name"]
        if not _VARIABLE_NAME.fullmatch(name):
            raise UserError(f"'{name}' is not a valid name of an environment variable: use letters, digits and _")
        size = len(f"{name}={variable.get('value', '')}".encode())
        if size > MAX_VARIABLE_BYTES:
            raise UserError(f"{name} is {size} bytes, more than {MAX_VARIABLE_BYTES}: make the configuration smaller")


def _check_containers(template: dict[str, Any]) -> None:
    for container in template["spec"]["containers"]:
        check_environment(container.get("env", []))
        _check_resources(container["resources"])


def _check_resources(resources: dict[str, Any]) -> None:
    for name, amount in resources["limits"].items():
        if not isinstance(amount, str) or quantity(amount) <= 0:
            raise UserError(f"the limit of {name} is {amount!r}: write a quantity such as '4' or '16Gi'")
    if resources["requests"] != resources["limits"]:
        raise UserError("requests and limits of a training container must be equal")
