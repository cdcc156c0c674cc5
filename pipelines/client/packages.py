"""Adapts compiled pipelines to a site: the names of its images, and the secrets with which nodes pull them."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import yaml

from compaware.components import images
from compaware.components.core.base.errors import UserError

_LOCAL = {f"{images.LOCAL}/{name}:{images.VERSION}": name for name in images.NAMES}


def for_site(content: str, site_images: Mapping[str, str] | None, pull_secrets: Sequence[str]) -> str:
    """Returns a compiled pipeline with the images and pull secrets of a site.

    Args:
        content: The compiled pipeline, two YAML documents.
        site_images: The site's images by component image; None leaves the names as they are.
        pull_secrets: Names of secrets in the namespace of the runs.

    Raises:
        UserError: The pipeline has an image that is not one of the site's.
    """
    if not site_images and not pull_secrets:
        return content
    spec, platform = yaml.safe_load_all(content)
    if site_images:
        set_images(spec, site_images)
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for name in spec["deploymentSpec"]["executors"] if pull_secrets else ():
        # As kfp.kubernetes.set_image_pull_secrets writes it.
        executors.setdefault(name, {})["imagePullSecret"] = [
            {"secretName": secret, "secretNameParameter": {"runtimeValue": {"constant": secret}}}
            for secret in pull_secrets
        ]
    return _replaced(content, spec, platform)


def without_choices(content: str) -> str:
    """Returns a compiled pipeline without the choices of its parameters.

    Only the UI uses them, and servers before KFP 2.16 refuse a pipeline with a field that they do not know.
    """
    spec, platform = yaml.safe_load_all(content)
    for parameter in spec["root"]["inputDefinitions"]["parameters"].values():
        parameter.pop("literals", None)
    return _replaced(content, spec, platform)


def _replaced(content: str, *documents: dict[str, Any]) -> str:
    # KFP's compiler describes the pipeline in comments.
    comments = takewhile(lambda line: line.startswith("#"), content.splitlines(keepends=True))
    return "".join(comments) + "---\n".join(yaml.safe_dump(document) for document in documents)


def set_images(spec: dict[str, Any], site_images: Mapping[str, str]) -> None:
    """Names a site's images in a compiled pipeline, also for tasks that start jobs with the trainer's image.

    Args:
        spec: The pipeline's spec, which is changed.
        site_images: The site's images by component image.

    Raises:
        UserError: The pipeline has an image that is not one of the site's.
    """
    for container in _containers(spec):
        image = container["image"]
        if image in _LOCAL:
            container["image"] = site_images[_LOCAL[image]]
        elif image not in site_images.values():
            raise UserError(
                f"the compiled pipeline names the image {image}, which {images.VARIABLE} does not name: "
                f"run `compaware compile`, or unset {images.VARIABLE}"
            )
        kept = [variable for variable in container.get("env", []) if variable["name"] != images.VARIABLE]
        container["env"] = [*kept, {"name": images.VARIABLE, "value": images.write_setting(site_images)}]


def check_images(content: str, site_images: Mapping[str, str] | None) -> None:
    """Checks that a cluster can pull the images of a compiled pipeline.

    Args:
        content: The compiled pipeline, as `for_site` returns it.
        site_images: The site's images, if they are known.

    Raises:
        UserError: An image exists only on this machine, or its name has no registry.
    """
    for image in images_of(content):
        images.check_image(image, "an image of the compiled pipeline")
        if image in _LOCAL and not site_images:
            raise UserError(
                f"a cluster cannot pull {image}: set {images.VARIABLE} or --images to where you pushed the images, "
                f"such as {images.EXAMPLE}, or to {images.LOCAL} if you loaded them onto the nodes"
            )


def images_of(content: str) -> list[str]:
    """Returns the names of the images of a compiled pipeline."""
    return sorted({container["image"] for container in _containers(next(yaml.safe_load_all(content)))})


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [executor["container"] for executor in spec["deploymentSpec"]["executors"].values()]
