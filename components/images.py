"""Names of the container images of the components, and the setting that says where a site stores them.

The tag is the version of this package and not `latest`, because KFP's cache key contains the name and not the digest.
"""

import os
import re
from collections.abc import Mapping
from importlib.metadata import version

from compaware.components.core.base.errors import UserError

VERSION = version("compaware")
# Names the images of a site: REGISTRY/PREFIX[:TAG], or NAME=IMAGE,… with one entry for each image.
VARIABLE = "COMPAWARE_IMAGES"
NAMES = ("benchmark", "data", "launcher", "trainer")
_LISTED = ", ".join(NAMES)
EXAMPLE = f"registry.example.com/team/compaware:{VERSION}"
_EXAMPLE_IMAGE = f"registry.example.com/team/compaware/trainer:{VERSION}"

# Images built on this machine. The project publishes no images, and a name without a registry would be looked for on
# Docker Hub, where anyone could offer it. `localhost` is a registry that no node can pull from.
LOCAL = "localhost/compaware"
DATA = f"{LOCAL}/data:{VERSION}"
TRAINER = f"{LOCAL}/trainer:{VERSION}"
BENCHMARK = f"{LOCAL}/benchmark:{VERSION}"
LAUNCHER = f"{LOCAL}/launcher:{VERSION}"

# A name with a registry, as github.com/distribution/reference reads it: the registry is `localhost`, or has a dot or a
# port.
_HOST = r"(?:(?:localhost|[\w-]+(?:\.[\w-]+)+|\[[0-9a-fA-F:]+\])(?::\d+)?|[\w-]+:\d+)"
_REPOSITORY = rf"{_HOST}(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+"
_TAG = r":\w[\w.-]{0,127}"
_IMAGE = re.compile(rf"{_REPOSITORY}(?:{_TAG})?(?:@sha256:[0-9a-f]{{64}})?", re.ASCII)
_PREFIX = re.compile(rf"(?P<prefix>{_REPOSITORY})(?P<tag>{_TAG})?", re.ASCII)


def check_image(image: str, key: str) -> str:
    """Returns an image's name, which must contain its registry.

    Args:
        image: The name.
        key: What the name is the value of, for the message.

    Raises:
        UserError: The name has no registry, so that it would mean an image of Docker Hub, or is no name at all.
    """
    if _IMAGE.fullmatch(image):
        return image
    fault = "is no name of an image" if re.match(f"{_HOST}/", image) else "names no registry"
    raise UserError(f"{key} is '{image}', which {fault}: write it in full, such as {_EXAMPLE_IMAGE}")


def read_setting(setting: str) -> dict[str, str]:
    """Returns the images that a value of `COMPAWARE_IMAGES` names, by component image.

    Args:
        setting: `REGISTRY/PREFIX[:TAG]`, where the tag is this version by default; or `NAME=IMAGE,…` with all images,
            for names by digest.

    Raises:
        UserError: The setting has neither form, or names no registry.
    """
    if "=" in setting:
        return _read_list(setting)
    match = _PREFIX.fullmatch(setting)
    if match and match["prefix"].endswith(tuple(f"/compaware/{name}" for name in NAMES)):
        start = match["prefix"].rpartition("/")[0]
        raise UserError(f"{VARIABLE} is '{setting}', which is one image: write {start}{match['tag'] or ''}")
    if match:
        return {name: f"{match['prefix']}/{name}{match['tag'] or f':{VERSION}'}" for name in NAMES}
    if "@" in setting:
        raise UserError(f"{VARIABLE} is '{setting}': a digest names one image, so write NAME=IMAGE,… for {_LISTED}")
    raise UserError(f"{VARIABLE} is '{setting}': write REGISTRY/PREFIX:TAG, such as {EXAMPLE}")


def _read_list(setting: str) -> dict[str, str]:
    entries = [entry.strip().partition("=") for entry in setting.split(",")]
    named = {name: check_image(image, f"{name} in {VARIABLE}") for name, _, image in entries}
    if sorted(named) != sorted(NAMES) or len(entries) != len(NAMES):
        raise UserError(f"{VARIABLE} names {', '.join(name for name, *_ in entries)}: name each of {_LISTED} once")
    return named


def write_setting(images: Mapping[str, str]) -> str:
    """Returns the value of `COMPAWARE_IMAGES` that names these images."""
    return ",".join(f"{name}={images[name]}" for name in NAMES)


def current() -> dict[str, str]:
    """Returns the images that this process's environment names, by default those built on this machine.

    Raises:
        UserError: `COMPAWARE_IMAGES` is not valid.
    """
    return read_setting(os.environ.get(VARIABLE) or LOCAL)


def trainer_beside(launcher: str) -> str:
    """Returns the trainer's image that belongs to the image of a launcher's pod.

    A task knows its images from the setting with which its pipeline was compiled. If its own image has another name,
    because someone changed the names later, the trainer's image has that name with `trainer` in place of `launcher`.

    Args:
        launcher: Image of the launcher's pod.

    Raises:
        UserError: The trainer's name cannot be derived from the launcher's.
    """
    images = current()
    if launcher == images["launcher"]:
        return images["trainer"]
    prefix, _, name = launcher.rpartition("/")
    if _IMAGE.fullmatch(launcher) and re.fullmatch(rf"launcher({_TAG})?", name):
        return f"{prefix}/{name.replace('launcher', 'trainer', 1)}"
    raise UserError(
        f"this task's image is '{launcher}', which does not tell the trainer's: set job.image, or compile the pipeline "
        f"with {VARIABLE}"
    )
