"""kubectl, helm, and namespaces of one's own on a real API server."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.manifests.reading import ROOT

Command = Callable[..., str]
Namespaces = Callable[[str], str]
# Argo's default installation defines its kinds as loosely.
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: NAME.argoproj.io}
spec:
  group: argoproj.io
  names: {kind: KIND, plural: NAME}
  scope: Namespaced
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


def _command(program: str) -> Command:
    if shutil.which(program) is None:
        pytest.fail(f"put {program} on PATH")

    def run(*words: str | Path, given: str | None = None) -> str:
        ended = subprocess.run([program, *map(str, words)], input=given, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{program} {words}: {ended.stderr}"
        return ended.stdout

    return run


@pytest.fixture(scope="session")
def kubectl() -> Command:
    """Runs kubectl and gives what it printed."""
    return _command("kubectl")


@pytest.fixture(scope="session")
def helm() -> Command:
    """Runs helm and gives what it printed."""
    return _command("helm")


@pytest.fixture
def namespaces(kubectl: Command) -> Iterator[Namespaces]:
    """Makes namespaces, which go with the test."""
    if "KUBECONFIG" not in os.environ:
        pytest.fail("set KUBECONFIG to a cluster for tests that has the PyTorchJob, KFP and Kueue definitions")
    made: list[str] = []

    def make(purpose: str) -> str:
        made.append(f"{purpose}-{os.getpid()}-{time.monotonic_ns() % 10**9}")
        kubectl("create", "namespace", made[-1])
        return made[-1]

    yield make
    for name in made:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the manifests to change as a site does."""
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    return tmp_path / "manifests"


def set_namespace(kustomization: Path, namespace: str) -> None:
    """Sets the one line that README.md tells to set."""
    lines = kustomization.read_text(encoding="utf-8").splitlines()
    [number] = [number for number, line in enumerate(lines) if line.strip().startswith("namespace:")]
    indent = lines[number].partition("namespace:")[0]
    lines[number] = f"{indent}namespace: {namespace}"
    kustomization.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def argo(kubectl: Command) -> Iterator[None]:
    """The kinds of Argo that the manifests name; those that the cluster has already stay as they are."""
    names = ("Workflow", "WorkflowTemplate", "WorkflowTaskResult")
    kinds = {f"{name.lower()}s": name for name in names}
    there = kubectl("get", "crd", "--output", "name")
    missing = {name: kind for name, kind in kinds.items() if f"/{name}.argoproj.io" not in there}
    text = "---".join(DEFINITION.replace("NAME", name).replace("KIND", kind) for name, kind in missing.items())
    if missing:
        kubectl("apply", "-f", "-", given=text)
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", "-", given=text)
    yield
    if missing:
        kubectl("delete", "-f", "-", given=text)
