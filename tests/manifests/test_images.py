"""No file names an image without its registry, which container engines would look for on Docker Hub."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from compaware.components import images
from compaware.components.core.base.errors import UserError
from compaware.pipelines.client import catalog
from compaware.pipelines.client.options import read_pull_secrets
from tests.compiled import compiled_pipeline
from tests.manifests.reading import MANIFESTS, ROOT, documents, values


def loaded(text: str) -> list[Any]:
    return list(yaml.safe_load_all(text))


def named() -> Iterator[tuple[Path, str]]:
    """Yields every image that a file of the repository names."""
    for file, document in documents():
        found = [values(document, key) for key in ("image", "newName", "repository")]
        yield from ((file, one) for one in (one for each in found for one in each) if isinstance(one, str))
    for file in sorted(catalog.ROOT.rglob("*.yaml")):
        yield from (
            (file, image) for document in loaded(file.read_text("utf-8")) for image in values(document, "image")
        )
    compose = ROOT / "images" / "compose.yaml"
    default = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", compose.read_text("utf-8"))
    yield from ((compose, image) for document in loaded(default) for image in values(document, "image"))
    recipe = ROOT / "images" / "Containerfile"
    yield from ((recipe, image) for image in re.findall(r"(?m)^ARG BASE_IMAGE=(\S+)", recipe.read_text("utf-8")))


def test_every_image_in_a_file_has_a_registry() -> None:
    found = list(named())
    folders = {file.relative_to(ROOT).parts[0] for file, _ in found}
    assert folders == {"images", "manifests", "pipelines"}
    assert {file.name for file, _ in found} >= {"pipeline.yaml", "compose.yaml", "Containerfile", "values.yaml"}
    for file, image in found:
        images.check_image(image, str(file))


@pytest.mark.parametrize("name", catalog.names())
def test_every_image_of_a_pipeline_that_notifies_has_a_registry(name: str) -> None:
    found = set(values(loaded(compiled_pipeline(name, True)), "image"))
    assert found == {images.check_image(image, name) for image in found} and images.LAUNCHER in found


def test_every_image_in_the_documentation_has_a_registry() -> None:
    found = []
    for file in [ROOT / "README.md", *ROOT.glob("docs/*.md"), ROOT / "images/README.md", MANIFESTS / "README.md"]:
        for command in re.findall(r"(?ms)^```\n(.*?)^```", file.read_text("utf-8")):
            found += re.findall(r"[\w./-]*compaware/(?:data|trainer|benchmark|launcher)\b[\w:.-]*", command)
    assert found
    for image in found:
        if not image.startswith("REGISTRY/"):
            images.check_image(image, "documentation")


def test_resources_of_pipelines_name_the_site_s_images(monkeypatch: pytest.MonkeyPatch) -> None:
    from tools import pipeline_resources

    monkeypatch.setenv(images.VARIABLE, "registry.example.com/team/compaware:2.0")
    monkeypatch.setenv("COMPAWARE_IMAGE_PULL_SECRETS", "mirror")
    written = [document for text in pipeline_resources.files().values() for document in loaded(text)]
    versions = [document for document in written if document.get("kind") == "PipelineVersion"]
    assert len(versions) == len(catalog.names())
    for version in versions:
        found = list(values(version["spec"]["pipelineSpec"], "image"))
        assert found and all(image.startswith("registry.example.com/team/compaware/") for image in found)
        secrets = list(values(version["spec"]["platformSpec"], "secretName"))
        assert secrets.count("mirror") == len(found)


def test_a_wrong_name_of_a_pull_secret_is_refused() -> None:
    assert read_pull_secrets(" a , b.c,") == ("a", "b.c")
    with pytest.raises(UserError, match="COMPAWARE_IMAGE_PULL_SECRETS: 'My_Secret' is no name of a secret"):
        read_pull_secrets("a,My_Secret")
