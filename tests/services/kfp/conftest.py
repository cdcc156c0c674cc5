"""The stand-in for a Kubeflow Pipelines server, and commands that talk to it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compaware.components import images
from tests.services.kfp.stand_in import StandIn, opened

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def server() -> Iterator[StandIn]:
    description = os.environ.get("KFP_OPENAPI")
    assert description, "set KFP_OPENAPI to the file kfp_api_single_file.swagger.json of kubeflow/pipelines (v2beta1)"
    yield from opened(Path(description))


@pytest.fixture
def site(server: StandIn, tmp_path: Path) -> dict[str, str]:
    """The environment of a person who has set the addresses of the server and of the images."""
    variables = {"KF_PIPELINES_ENDPOINT": server.address, images.VARIABLE: "registry.example.com/team/compaware:2.0"}
    return {**os.environ, **variables, "HOME": str(tmp_path)}


@pytest.fixture
def command(site: dict[str, str]) -> Command:
    """Runs `compaware WORDS`, or another program."""

    def run(*words: str, program: str = "compaware", **variables: str) -> subprocess.CompletedProcess[str]:
        file = Path(sys.executable).with_name(program)
        environment = {**site, **variables}
        return subprocess.run([file, *words], env=environment, capture_output=True, text=True, timeout=120, check=False)

    return run
