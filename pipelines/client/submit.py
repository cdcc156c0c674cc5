"""Runs a pipeline on a Kubeflow Pipelines server: uploads its version once, creates experiment and run, and waits."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compaware.components.images import VERSION
from compaware.pipelines.client import catalog
from compaware.pipelines.client.server import explained, named, pages

if TYPE_CHECKING:
    from kfp import Client

_POLL_S = 5.0
SUCCEEDED = "SUCCEEDED"
_ENDED = {SUCCEEDED, "FAILED", "CANCELED", "SKIPPED"}


@dataclass(frozen=True)
class Request:
    """What is asked of the server.

    Attributes:
        pipeline: The pipeline's name here, such as `distillation`.
        arguments: Its parameters that are given.
        experiment: Name of the experiment; it is created where it is not there.
        name: Name of the run or of the schedule.
        namespace: The user's; None where there is one user only.
        service_account: Of the run's pods; None for the server's default.
    """

    pipeline: str
    arguments: dict[str, Any]
    experiment: str
    name: str
    namespace: str | None
    service_account: str | None

    def shown(self) -> dict[str, Any]:
        """The request as it would be sent, with names in the place of the server's ids."""
        return {
            "display_name": self.name,
            "experiment": self.experiment,
            "pipeline": server_name(self.pipeline),
            "pipeline_version": version_name(self.pipeline),
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
    """What a pipeline is called on the server."""
    return str(catalog.spec(pipeline)["pipelineInfo"]["name"])


def version_name(pipeline: str) -> str:
    """Name of a pipeline's version: ours, and a hash of what is uploaded, so that changed pipelines never mix."""
    content = (catalog.folder(pipeline) / catalog.SPEC_NAME).read_bytes()
    return f"{VERSION}-{hashlib.sha256(content).hexdigest()[:12]}"


def upload(client: "Client", pipeline: str, namespace: str | None) -> Uploaded:
    """Makes sure that the server has this version of the pipeline.

    Raises:
        UserError: The server refuses.
    """
    file = str(catalog.folder(pipeline) / catalog.SPEC_NAME)
    name, version = server_name(pipeline), version_name(pipeline)
    found = next(
        pages(client.list_pipelines, "pipelines", namespace=namespace, filter=named("display_name", name)), None
    )
    with explained():
        if found is None:
            found = client.upload_pipeline(file, name, catalog.summary(pipeline), namespace)
        versions = pages(
            client.list_pipeline_versions,
            "pipeline_versions",
            pipeline_id=found.pipeline_id,
            filter=named("display_name", version),
        )
        ours = next(versions, None) or client.upload_pipeline_version(file, version, found.pipeline_id)
    return Uploaded(found.pipeline_id, ours.pipeline_version_id)


def experiment_id(client: "Client", request: Request) -> str:
    """The id of the request's experiment, which is created where it is not there.

    Raises:
        UserError: The server refuses, such as for a namespace that is not there.
    """
    with explained():
        return str(client.create_experiment(request.experiment, namespace=request.namespace).experiment_id)


def submit(client: "Client", request: Request) -> str:
    """Creates a run.

    Returns:
        The run's id.

    Raises:
        UserError: The server refuses.
    """
    uploaded = upload(client, request.pipeline, request.namespace)
    experiment = experiment_id(client, request)
    with explained():
        run = client.run_pipeline(
            experiment,
            request.name,
            params=request.arguments,
            pipeline_id=uploaded.pipeline_id,
            version_id=uploaded.version_id,
            service_account=request.service_account,
        )
    return str(run.run_id)


def wait(client: "Client", run_id: str, say: Callable[[str], None]) -> Any:
    """Waits for a run to end, telling of each task that changes its state.

    Returns:
        The run as the server describes it at its end.

    Raises:
        UserError: The server no longer answers, or no longer knows us.
    """
    told: dict[str, str] = {}
    while True:
        with explained():
            run = client.get_run(run_id)
        for name, state in task_states(run).items():
            if told.get(name) != state:
                told[name] = state
                say(f"{name}: {state.lower()}")
        if run.state in _ENDED:
            return run
        time.sleep(_POLL_S)


def task_states(run: Any) -> dict[str, str]:
    """The state of each task of a run that has one, in the order of their starts."""
    details = (run.run_details.task_details if run.run_details else None) or []
    # Besides the components there are KFP's own: the driver of each, and the run itself.
    shown = [task for task in details if task.state and not (task.display_name or "").endswith(("-driver", "root"))]
    shown.sort(key=lambda task: str(task.start_time or task.create_time))
    return {task.display_name: task.state for task in shown}
