"""The workflows on GitHub and `.ci/run` run the same checks, by make targets that exist."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".ci" / "run"
FILES = sorted((ROOT / ".github").rglob("*.yml"))
_MAKE = re.compile(r"^ *(?:[A-Z_]+=\S+ +|echo .*\$\()*make ((?:--\S+ )?[a-z-]+(?: [a-z-]+)*)", re.MULTILINE)
_SERVICES = re.compile(r"make test-services SERVICES=(?:\"([a-z ]+)\"|([a-z]+))")


def _steps(file: Path) -> list[dict[str, Any]]:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    jobs = content["jobs"].values() if "jobs" in content else [content.get("runs", {})]
    return [step for job in jobs for step in job.get("steps", [])]


def _commands() -> str:
    return "\n".join(step["run"] for file in FILES for step in _steps(file) if "run" in step)


def _targets(text: str) -> set[str]:
    return {target for targets in _MAKE.findall(text) for target in targets.split() if not target.startswith("-")}


def _services(text: str) -> set[str]:
    return {service for match in _SERVICES.findall(text) for service in "".join(match).split()}


def test_github_runs_the_local_checks_and_builds_images():
    local = LOCAL.read_text(encoding="utf-8")
    assert {"install", "lint", "types", "check-fresh", "test", "test-families", "test-services"} == _targets(local)
    assert _targets(_commands()) == _targets(local) | {"images", "sbom", "image-names"}
    assert _services(_commands()) == _services(local) | {"images"}


def test_every_target_is_in_the_makefile():
    known = subprocess.run(["make", "-pnq"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    for target in _targets(_commands()) | _targets(LOCAL.read_text(encoding="utf-8")):
        assert re.search(rf"(?m)^{target}:", known), target


@pytest.mark.parametrize("file", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda file: file.name)
def test_a_workflow_has_few_permissions_and_a_timeout(file: Path):
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert content["permissions"] == {"contents": "read"} and content["concurrency"]
    for name, job in content["jobs"].items():
        assert job["timeout-minutes"] and "permissions" not in job, name
        checkout = job["steps"][0]
        assert checkout["uses"].startswith("actions/checkout@") and checkout["with"] == {"persist-credentials": False}


def test_the_scanned_images_are_those_that_are_built():
    names = subprocess.run(["make", "-s", "image-names"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    built = subprocess.run(["make", "-n", "images"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert names.split() == re.findall(r"--tag (\S+)", built)
