"""The overlays render, are accepted by a real API server, and are moved to another namespace by one line."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from compaware.components.images import VERSION
from tests.manifests.reading import MANIFESTS, documented_permissions, granted, values
from tests.services.manifests.conftest import Command, Namespaces, set_namespace

FOLDERS = sorted(file.parent.relative_to(MANIFESTS) for file in MANIFESTS.rglob("kustomization.yaml"))
COMPONENTS = [folder for folder in FOLDERS if folder.parts[0] == "components"]
CLUSTER_WIDE = ("ClusterQueue", "ResourceFlavor")
# The server of the tests is older than NetworkPolicy's endPort and drops it; kubectl would stop there.
APPLY = ("apply", "--validate=false", "--kustomize")


def rendered(kubectl: Command, folder: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(kubectl("kustomize", folder)))


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder not in COMPONENTS], ids=str)
def test_every_kustomization_renders(kubectl: Command, folder: Path) -> None:
    objects = rendered(kubectl, MANIFESTS / folder)
    assert objects
    assert all(one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "compaware" for one in objects)
    if folder.parts[0] in ("overlays", "argo"):
        for one in objects:
            assert ("namespace" in one["metadata"]) != (one["kind"] in CLUSTER_WIDE), one["kind"]


@pytest.mark.parametrize(("overlay", "account"), [("standalone", "pipeline-runner"), ("multi-user", "default-editor")])
def test_one_line_moves_an_overlay(kubectl: Command, tree: Path, overlay: str, account: str) -> None:
    set_namespace(tree / "overlays" / overlay / "kustomization.yaml", "elsewhere")
    objects = {one["kind"]: one for one in rendered(kubectl, tree / "overlays" / overlay)}
    assert {one["metadata"]["namespace"] for one in objects.values()} == {"elsewhere"}
    assert objects["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "elsewhere"}]


def test_one_line_moves_the_queue(kubectl: Command, tree: Path) -> None:
    set_namespace(tree / "overlays/kueue/queues.yaml", "elsewhere")
    objects = {one["kind"]: one for one in rendered(kubectl, tree / "overlays/kueue")}
    assert objects["LocalQueue"]["metadata"]["namespace"] == "elsewhere"
    selector = objects["ClusterQueue"]["spec"]["namespaceSelector"]["matchLabels"]
    assert selector == {"kubernetes.io/metadata.name": "elsewhere"}


def test_components_add_what_they_say(kubectl: Command, tree: Path) -> None:
    file = tree / "overlays/standalone/kustomization.yaml"
    added = "components:\n  - ../../components/trainjob\n  - ../../components/model-cache\n"
    file.write_text(file.read_text(encoding="utf-8") + added, encoding="utf-8")
    objects = {one["kind"]: one for one in rendered(kubectl, file.parent)}
    assert granted(objects["Role"]["rules"]) == documented_permissions()
    assert objects["PersistentVolumeClaim"]["metadata"]["namespace"] == "kubeflow"


def test_the_plain_template_takes_its_image_from_the_registry(kubectl: Command) -> None:
    found = {image for one in rendered(kubectl, MANIFESTS / "argo") for image in values(one, "image")}
    assert found == {f"registry.example.com/team/compaware/benchmark:{VERSION}"}


def test_air_gapped_takes_every_image_from_the_mirror(kubectl: Command) -> None:
    objects = rendered(kubectl, MANIFESTS / "overlays/air-gapped")
    images = {image for one in objects for image in values(one, "image")}
    assert images and all(image.startswith("registry.example.com/compaware/") for image in images)


@pytest.mark.parametrize("overlay", ["standalone", "multi-user", "air-gapped"])
def test_an_overlay_is_accepted(kubectl: Command, namespaces: Namespaces, tree: Path, overlay: str) -> None:
    namespace = namespaces("overlay")
    set_namespace(tree / "overlays" / overlay / "kustomization.yaml", namespace)
    set_namespace(tree / "overlays/standalone/kustomization.yaml", namespace)
    applied = kubectl(*APPLY, tree / "overlays" / overlay).splitlines()
    assert len(applied) == len(rendered(kubectl, tree / "overlays" / overlay))
    again = kubectl(*APPLY, tree / "overlays" / overlay).splitlines()
    assert len(again) == len(applied) and not [line for line in again if line.endswith("created")]


def test_the_queue_is_accepted(kubectl: Command, namespaces: Namespaces, tree: Path) -> None:
    namespace = namespaces("queue")
    set_namespace(tree / "overlays/kueue/queues.yaml", namespace)
    kubectl(*APPLY, tree / "overlays/kueue")
    try:
        queue = yaml.safe_load(kubectl("get", "localqueue", "compaware", "-n", namespace, "-o", "yaml"))
        flavors = values(
            yaml.safe_load(kubectl("get", "clusterqueue", queue["spec"]["clusterQueue"], "-o", "yaml")), "flavors"
        )
        names = {flavor["name"] for listed in flavors for flavor in listed}
        assert kubectl("get", "resourceflavor", *names, "-o", "name")
    finally:
        kubectl("delete", "--kustomize", tree / "overlays/kueue")


def test_the_pipelines_are_kept_whole(kubectl: Command, namespaces: Namespaces) -> None:
    namespace = namespaces("pipelines")
    wanted = {one["metadata"]["name"]: one for one in rendered(kubectl, MANIFESTS / "pipelines")}
    kubectl(*APPLY, MANIFESTS / "pipelines", "-n", namespace)
    kept = yaml.safe_load(kubectl("get", "pipelineversions,pipelines", "-n", namespace, "-o", "yaml"))["items"]
    assert len(kept) == len(wanted)
    for one in kept:
        assert one["spec"] == wanted[one["metadata"]["name"]]["spec"]
