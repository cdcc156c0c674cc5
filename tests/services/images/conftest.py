"""A real Docker engine; DOCKER_HOST says where it is.

`make images` takes these from the environment: NETWORK (`host` where the engine has no bridge), BASE_IMAGE (where the
engine cannot pull the one that is pinned) and BUILD_ARGS (such as another package index).
"""

import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Ended = subprocess.CompletedProcess[str]
ROOT = Path(__file__).resolve().parents[3]
# Not the names that a user's images have.
REGISTRY = "test.invalid"
RECIPE = ROOT / "images" / "Containerfile"
(PINNED,) = re.findall(r"(?m)^ARG BASE_IMAGE=(\S+)", RECIPE.read_text(encoding="utf-8"))
BASE_IMAGE = os.environ.get("BASE_IMAGE") or PINNED


class Engine:
    """Builds and runs images as a cluster would: no privileges, no network, a read-only root."""

    def __init__(self) -> None:
        self._tags: dict[str, str] = {}

    def image(self, name: str) -> str:
        """The tag of an image, which is built when it is first asked for."""
        if name not in self._tags:
            (self._tags[name],) = make_images(name, registry=REGISTRY)
        return self._tags[name]

    def run(self, name: str, *command: str, volume: str | None = None) -> Ended:
        """Runs a command in an image.

        Args:
            name: The image's name.
            command: What to run.
            volume: A volume to put at /work; else that is a folder in memory.
        """
        options = ["--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
        options += ["--security-opt", "no-new-privileges", "--env", "OMP_NUM_THREADS=1"]
        options += ["--volume", f"{volume}:/work"] if volume else ["--tmpfs", "/work:uid=1000,gid=1000"]
        return docker("run", *options, self.image(name), *command)

    def inspect(self, image: str) -> dict[str, Any]:
        """What the engine knows of an image, by its tag."""
        return json.loads(docker("image", "inspect", image).stdout)[0]


def make_images(*names: str, registry: str = "") -> list[str]:
    """Builds images, or finds them built.

    Args:
        names: The images' names.
        registry: What goes before their tags.

    Returns:
        The tags.
    """
    make = ["make", "images", f"IMAGES={' '.join(names)}", f"REGISTRY={registry}"]
    built = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, (built.stdout + built.stderr)[-2000:]
    dry = subprocess.run([*make, "-n"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return re.findall(r"--tag (\S+)", dry)


def docker(*words: str) -> Ended:
    """Runs the Docker client."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine; without one the test fails in one line."""
    if not os.environ.get("DOCKER_HOST"):
        pytest.fail("set DOCKER_HOST: these tests need a Docker engine (see tests/services/images)", pytrace=False)
    return Engine()


@pytest.fixture
def volume(engine: Engine) -> Iterator[str]:
    """A volume of one's own, removed afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    assert docker("volume", "create", name).returncode == 0
    yield name
    docker("volume", "rm", name)


@pytest.fixture
def in_volume(engine: Engine, volume: str) -> Callable[..., Ended]:
    """Runs a command in an image with this test's volume at /work."""
    return lambda name, *command: engine.run(name, *command, volume=volume)
