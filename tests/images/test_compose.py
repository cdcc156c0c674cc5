"""The Compose file runs on one machine, without privileges."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from compaware.components import images
from compaware.pipelines.client import catalog

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def service() -> dict[str, Any]:
    """The service, with every variable at its default."""
    text = (ROOT / "images" / "compose.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))["services"]["run"]


def test_it_runs_without_privileges_on_a_read_only_root(service: dict[str, Any]):
    assert service["user"] == "1000:1000"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "devices", "pid", "ipc"}
    assert not any("docker.sock" in volume for volume in service["volumes"])


def test_it_runs_the_image_of_this_version(service: dict[str, Any]):
    assert service["image"] == images.BENCHMARK


def test_by_default_it_runs_an_existing_config(service: dict[str, Any]):
    command = service["entrypoint"]
    source, target, mode = service["volumes"][0].split(":")
    assert command[:2] == ["compaware", "run"] and command[2] in catalog.names()
    assert (ROOT / "images" / source).is_file()
    assert target == command[command.index("--config") + 1] and mode == "ro"
