"""Runs a pipeline's tasks in the images of a cluster, on this machine's Docker."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from docker.types import Mount
from kfp import local
from requests.exceptions import RequestException

from compaware.components import images
from compaware.components.core.base.errors import UserError
from compaware.components.launch.run import WORK_ROOT_VARIABLE
from compaware.components.storage import is_uri, settings
from compaware.pipelines.client import catalog

# Where a machine's Docker has no bridge: `host`.
NETWORK_VARIABLE = "COMPAWARE_DOCKER_NETWORK"
# What of this process's environment the containers need to reach the hub, stores and the registry as it would.
PASSED_ON = (
    *("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "MODEL_REGISTRY_URL"),
    *(*settings.ENDPOINT_VARIABLES, *settings.ACCESS_KEY_VARIABLES, *settings.SECRET_KEY_VARIABLES),
    *(*settings.REGION_VARIABLES, "AWS_SESSION_TOKEN"),
)
_RUN_LABEL = "compaware.run"
_HUB_CACHE = "/work/huggingface"


def docker_runner(arguments: dict[str, Any], work: Path) -> local.DockerRunner:
    """A runner whose containers are as in a cluster, read-only and without privileges; their user is this process's.

    Args:
        arguments: The pipeline's; local paths among them are seen in the containers under the same names, read-only but
            for the one to publish at, which is made.
        work: A folder where killed stages leave their work; it names the run, too.

    Raises:
        UserError: Docker does not answer, or an image is not there.
    """
    _check_images()
    hub_cache = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser().absolute()
    hub_cache.mkdir(parents=True, exist_ok=True)
    written = str(arguments.get(catalog.WRITTEN) or "")
    if written and not is_uri(written):
        Path(written).mkdir(parents=True, exist_ok=True)
    paths = {str(Path(value).absolute()): value != written for value in arguments.values() if _is_path(value)}
    user, group = os.getuid(), os.getgid()
    return local.DockerRunner(
        user=f"{user}:{group}",
        read_only=True,
        # Docker gives /work the mode that it has in the image, whatever is asked for here.
        tmpfs={"/tmp": "", "/work": f"uid={user},gid={group}"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        shm_size="1g",
        network_mode=os.environ.get(NETWORK_VARIABLE, "bridge"),
        environment={WORK_ROOT_VARIABLE: str(work)}
        | {name: os.environ[name] for name in PASSED_ON if name in os.environ},
        # Relative paths mean the same there as here.
        working_dir=str(Path.cwd()),
        mounts=[Mount(str(work), str(work), type="bind"), Mount(_HUB_CACHE, str(hub_cache), type="bind")]
        + [Mount(path, os.path.realpath(path), type="bind", read_only=paths[path]) for path in sorted(paths)],
        labels={_RUN_LABEL: str(work)},
    )


@contextlib.contextmanager
def containers_of(work: Path) -> Iterator[None]:
    """Ends what an interrupted run left running, since containers do not end with the process that began them.

    Args:
        work: The folder that names the run.

    Raises:
        UserError: Docker refused something, or went away.
    """
    try:
        yield
    except (DockerException, RequestException) as error:
        raise UserError(f"Docker failed: {' '.join(str(error).split())}") from error
    finally:
        with contextlib.suppress(DockerException, RequestException), contextlib.closing(docker.from_env()) as client:
            for container in client.containers.list(filters={"label": f"{_RUN_LABEL}={work}"}):
                container.kill()


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
