"""Runs a pipeline on a Kubeflow Pipelines server: uploads its version once, then creates the experiment and the run."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compaware.components.core.base.errors import UserError
from compaware.components.images import VERSION
from compaware.pipelines.client import catalog, packages
from compaware.pipelines.client.server import list_items, name_filter, translate_errors
from compaware.pipelines.task_settings import PLAIN, Layers

if TYPE_CHECKING:
    from kfp import Client


@dataclass(frozen=True)
class Request:
    """A run or schedule to create on the server.

    Attributes:
        pipeline: The pipeline's name here, such as `distillation`.
        arguments: Its parameters that were set.
        experiment: Name of the experiment; it is created if it does not exist.
        name: Name of the run or of the schedule.
        namespace: The user's namespace; None on a server with a single user.
        service_account: Service account of the run's pods; None for the server's default.
        notify: Add the exit task that reports to a webhook how the run ended.
        images: Images of the site by component image; None for those that the compiled pipeline names.
        pull_secrets: Secrets with which nodes pull the images.
        layers: What the site and the run set.
    """

    pipeline: str
    arguments: dict[str, Any]
    experiment: str
    name: str
    namespace: str | None
    service_account: str | None
    notify: bool = False
    images: Mapping[str, str] | None = None
    pull_secrets: tuple[str, ...] = ()
    layers: Layers = PLAIN

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise UserError("the name is empty: give one with --name")

    def shown(self) -> dict[str, Any]:
        """Returns the request as it would be sent, with names instead of the server's ids."""
        content = package(self)
        return {
            "display_name": self.name,
            "experiment": self.experiment,
            "pipeline": server_name(self.pipeline),
            "pipeline_version": version_name(content),
            "images": packages.images_of(content),
            "namespace": self.namespace,
            "service_account": self.service_account,
            "runtime_config": {"parameters": self.arguments},
        }


@dataclass(frozen=True)
class Uploaded:
    """Ids of a pipeline and of its version on the server."""

    pipeline_id: str
    version_id: str


def server_name(pipeline: str) -> str:
    """Returns a pipeline's name on the server."""
    return str(catalog.spec(pipeline)["pipelineInfo"]["name"])


def package(request: Request) -> str:
    """Returns the compiled pipeline of a request, with the site's images and pull secrets.

    Raises:
        UserError: The cluster cannot pull an image of the pipeline.
    """
    content = packages.for_site(_compiled(request), request.images, request.pull_secrets)
    packages.check_images(content, request.images)
    return packages.without_choices(content)


def _compiled(request: Request) -> str:
    """Returns the checked-in pipeline, unless the request asks for another."""
    if not request.notify and request.layers == PLAIN:
        return (catalog.folder(request.pipeline) / catalog.SPEC_NAME).read_text(encoding="utf-8")
    # Needs KFP's compiler and the components' interfaces.
    from compaware.pipelines.client.specs import compile_pipeline

    return compile_pipeline(request.pipeline, request.notify, request.layers)


def version_name(content: str) -> str:
    """Returns the name of a pipeline's version: our version and a hash of the file, so that changes make a new one."""
    return f"{VERSION}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def upload_pipeline(client: "Client", request: Request) -> Uploaded:
    """Uploads the request's version of the pipeline, unless the server has it.

    Raises:
        UserError: The server refuses.
    """
    content, name = package(request), server_name(request.pipeline)
    version = version_name(content)
    found = next(
        list_items(client.list_pipelines, "pipelines", namespace=request.namespace, filter=name_filter("name", name)),
        None,
    )
    with translate_errors(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / catalog.SPEC_NAME
        file.write_text(content, encoding="utf-8")
        if found is None:
            found = client.upload_pipeline(str(file), name, catalog.summary(request.pipeline), request.namespace)
        versions = list_items(
            client.list_pipeline_versions,
            "pipeline_versions",
            pipeline_id=found.pipeline_id,
            filter=name_filter("name", version),
        )
        ours = next(versions, None) or client.upload_pipeline_version(str(file), version, found.pipeline_id)
    return Uploaded(found.pipeline_id, ours.pipeline_version_id)


def experiment_id(client: "Client", request: Request) -> str:
    """Returns the id of the request's experiment, which is created if it does not exist.

    Raises:
        UserError: The server refuses, for example because the namespace does not exist.
    """
    with translate_errors():
        return str(client.create_experiment(request.experiment, namespace=request.namespace).experiment_id)


def submit(client: "Client", request: Request) -> str:
    """Creates a run.

    Returns:
        The run's id.

    Raises:
        UserError: The server refuses.
    """
    uploaded = upload_pipeline(client, request)
    experiment = experiment_id(client, request)
    with translate_errors():
        run = client.run_pipeline(
            experiment,
            request.name,
            params=request.arguments,
            pipeline_id=uploaded.pipeline_id,
            version_id=uploaded.version_id,
            service_account=request.service_account,
        )
    return str(run.run_id)
