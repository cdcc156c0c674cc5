"""Finds the image that the pods of a job run, and the secrets with which nodes pull it."""

from typing import Any

from compaware.components import images
from compaware.components.launch.options import JobOptions

# Argo's name for the container that runs a task.
_MAIN = "main"


def with_image(options: JobOptions, pod: dict[str, Any] | None) -> JobOptions:
    """Returns a job's options with an image that a cluster can pull.

    If the options do not name them, a pipeline's job gets the trainer image with the registry and tag of its task's
    image, and the pull secrets of the task's pod. Outside of a pipeline, `COMPAWARE_IMAGES` names the image.

    Args:
        options: The options as they were given.
        pod: The pod of the task that starts the job; None outside of a pipeline.

    Raises:
        UserError: The image's name has no registry, or cannot be derived from the task's image.
    """
    found: dict[str, Any] = {}
    if "image" in options.model_fields_set:
        images.check_image(options.image, "job.image")
    elif pod is None:
        found["image"] = images.current()["trainer"]
    else:
        found["image"] = images.trainer_beside(image_of(pod))
    if pod and "image_pull_secrets" not in options.model_fields_set:
        found["image_pull_secrets"] = [secret["name"] for secret in pod["spec"].get("imagePullSecrets", [])]
    return options.model_copy(update=found)


def image_of(pod: dict[str, Any]) -> str:
    """Returns the image that the pod of a task runs."""
    return next(container["image"] for container in pod["spec"]["containers"] if container["name"] == _MAIN)
