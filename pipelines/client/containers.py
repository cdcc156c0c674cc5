"""Runs a pipeline's tasks on this machine in the cluster's images, with Docker."""

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
from compaware.components.core.base.store_names import SITE_STORES_VARIABLE
from compaware.components.launch.run import WORK_ROOT_VARIABLE
from compaware.components.storage import connection, is_uri
from compaware.components.storage.credentials import (
    AWS_VARIABLES,
    MINIO_VARIABLES,
    SECRET_DIR_VARIABLE,
    SESSION_TOKEN_VARIABLE,
)
from compaware.components.storage.pools import CA_FILE_VARIABLES
from compaware.components.storage.secrets import FOLDER_VARIABLE
from compaware.pipelines.client import catalog
from compaware.pipelines.client.packages import set_images

# Docker network of the containers. Set it to `host` if Docker has no bridge network.
NETWORK_VARIABLE = "COMPAWARE_DOCKER_NETWORK"
# Variables that containers need to reach the hub, object stores and the registry like this process.
PASSED_ON = (
    *("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "MODEL_REGISTRY_URL"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *(name for names in connection.ENDPOINT_VARIABLES.values() for name in names),
    *(name for pair in (AWS_VARIABLES, MINIO_VARIABLES) for names in pair for name in names),
    *(*connection.REGION_VARIABLES, SESSION_TOKEN_VARIABLE, SITE_STORES_VARIABLE, "AWS_ROLE_ARN"),
)
# The same for variables with the path of a file or folder, which is mounted.
MOUNTED = (*CA_FILE_VARIABLES, FOLDER_VARIABLE, SECRET_DIR_VARIABLE, "AWS_WEB_IDENTITY_TOKEN_FILE")
_RUN_LABEL = "compaware.run"
_HUB_CACHE = "/work/huggingface"


def docker_runner(arguments: dict[str, Any], work: Path) -> local.DockerRunner:
    """Returns a runner with containers as in a cluster: read-only, without privileges, with this process's user.

    Args:
        arguments: The pipeline's arguments. Local paths are mounted under the same names, read-only except for the one
            to publish to, which is created.
        work: Folder for the work of interrupted stages; also identifies the run.

    Raises:
        UserError: Docker does not answer, or an image is missing.
    """
    _check_images()
    hub_cache = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser().absolute()
    hub_cache.mkdir(parents=True, exist_ok=True)
    written = str(arguments.get(catalog.WRITTEN) or "")
    if written and not is_uri(written):
        Path(written).mkdir(parents=True, exist_ok=True)
    paths = {str(Path(value).absolute()): value != written for value in _texts(arguments) if _is_path(value)}
    mounted = {name: str(Path(os.environ[name]).absolute()) for name in MOUNTED if _is_path(os.environ.get(name, ""))}
    paths = dict.fromkeys(mounted.values(), True) | paths
    user, group = os.getuid(), os.getgid()
    return local.DockerRunner(
        user=f"{user}:{group}",
        read_only=True,
        # /work has the mode of the image; Docker ignores a mode that is set here.
        tmpfs={"/tmp": "", "/work": f"uid={user},gid={group}"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        shm_size="1g",
        network_mode=os.environ.get(NETWORK_VARIABLE, "bridge"),
        environment={WORK_ROOT_VARIABLE: str(work)}
        | {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        | mounted,
        # Relative paths keep their meaning.
        working_dir=str(Path.cwd()),
        mounts=[Mount(str(work), str(work), type="bind"), Mount(_HUB_CACHE, str(hub_cache), type="bind")]
        + [Mount(path, os.path.realpath(path), type="bind", read_only=paths[path]) for path in sorted(paths)],
        labels={_RUN_LABEL: str(work)},
    )


@contextlib.contextmanager
def containers_of(work: Path) -> Iterator[None]:
    """Stops the containers of a run at its end, since they outlive an interrupted process.

    Args:
        work: The folder that identifies the run.

    Raises:
        UserError: Docker reports an error or stops.
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
    """Gives tasks the images of this machine or of `COMPAWARE_IMAGES`.

    The tasks that start a job in a cluster get the training image, since they train themselves here.
    """
    ours = images.current()
    set_images(spec, ours)
    for executor in spec["deploymentSpec"]["executors"].values():
        if executor["container"]["image"] == ours["launcher"]:
            executor["container"]["image"] = ours["trainer"]
    return spec


def _texts(value: Any) -> Iterator[str]:
    """The texts in arguments, also those in lists and mappings."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(item)


def _is_path(text: str) -> bool:
    return bool(text) and Path(text).exists()


def _check_images() -> None:
    try:
        client = docker.from_env()
        listed = client.images.list()
    except DockerException as error:
        raise UserError(f"Docker does not answer ({error}): start it, or set DOCKER_HOST") from error
    present = {name for image in listed for name in (*image.tags, *image.attrs.get("RepoDigests", ()))}
    ours = images.current()
    missing = sorted({ours[name] for name in ("data", "trainer", "benchmark")} - present)
    if missing:
        raise UserError(f"Docker has no image {missing[0]}: run `make images`, or `docker pull` it")
