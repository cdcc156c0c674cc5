"""Runs a pipeline's tasks in the images of a cluster, on this machine's Docker."""

import os
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from docker.types import Mount
from kfp import local

from compaware.components import images
from compaware.components.core.errors import UserError
from compaware.components.launch.run import WORK_ROOT_VARIABLE

# Where a machine's Docker has no bridge: `host`.
NETWORK_VARIABLE = "COMPAWARE_DOCKER_NETWORK"


def docker_runner(arguments: dict[str, Any], work: Path) -> local.DockerRunner:
    """A runner whose containers are as in a cluster: not root, read-only, no privileges.

    Args:
        arguments: The pipeline's; local paths among them are seen in the containers under the same names, read-only.
        work: Where killed stages leave their work.

    Raises:
        UserError: Docker does not answer, or an image is not there.
    """
    _check_images()
    work.mkdir(parents=True, exist_ok=True)
    paths = {str(Path(value).resolve()) for value in arguments.values() if _is_path(value)}
    return local.DockerRunner(
        user=f"{os.getuid()}:{os.getgid()}",
        read_only=True,
        tmpfs={"/tmp": "", "/work": "mode=1777"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        shm_size="1g",
        network_mode=os.environ.get(NETWORK_VARIABLE, "bridge"),
        environment={WORK_ROOT_VARIABLE: str(work)},
        mounts=[Mount(str(work), str(work), type="bind")]
        + [Mount(path, path, type="bind", read_only=True) for path in sorted(paths)],
    )


def train_in_place(spec: dict[str, Any]) -> dict[str, Any]:
    """Gives the tasks that start a job in a cluster the image that trains: here they train themselves."""
    for executor in spec["deploymentSpec"]["executors"].values():
        if executor["container"]["image"] == images.LAUNCHER:
            executor["container"]["image"] = images.TRAINER
    return spec


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and Path(value).exists()


def _check_images() -> None:
    try:
        client = docker.from_env()
        present = {tag for image in client.images.list() for tag in image.tags}
    except DockerException as error:
        raise UserError(f"Docker does not answer ({error}): start it, or name it in DOCKER_HOST") from error
    missing = sorted({images.DATA, images.TRAINER, images.BENCHMARK} - present)
    if missing:
        raise UserError(f"Docker has no image {missing[0]}: run `make images`")
