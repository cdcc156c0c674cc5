"""Compiled pipelines name the images and pull secrets of the site that runs them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import dsl, kubernetes

from compaware.components import images
from compaware.components.core.base.errors import UserError
from compaware.pipelines.client import catalog
from compaware.pipelines.client.containers import train_in_place
from compaware.pipelines.client.main import main
from compaware.pipelines.client.packages import check_images, for_site
from tests.compiled import compiled_pipeline

SITE = "registry.example.com/team/compaware:2.0"
PREFIX = "registry.example.com/team/compaware"


def checked_in(name: str) -> str:
    return (catalog.folder(name) / catalog.SPEC_NAME).read_text(encoding="utf-8")


def containers(content: str) -> dict[str, dict[str, Any]]:
    spec = next(yaml.safe_load_all(content))
    return {name: executor["container"] for name, executor in spec["deploymentSpec"]["executors"].items()}


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


@pytest.mark.parametrize("name", catalog.names())
def test_a_site_s_pipeline_differs_in_its_images_only(name: str) -> None:
    plain, ours = checked_in(name), for_site(checked_in(name), images.read_setting(SITE), [])
    for task, container in containers(ours).items():
        before = containers(plain)[task]
        assert container["image"] == f"{PREFIX}/{before['image'].split('/')[-1].split(':')[0]}:2.0"
        [variable] = container.pop("env")
        assert variable["name"] == images.VARIABLE
        assert images.read_setting(variable["value"]) == images.read_setting(SITE)
    restored = ours.replace(f"{PREFIX}/", "localhost/compaware/").replace(":2.0", f":{images.VERSION}")
    documents = list(yaml.safe_load_all(restored))
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        del executor["container"]["env"]
    assert documents == list(yaml.safe_load_all(plain))
    assert ours.splitlines()[:5] == plain.splitlines()[:5]


def test_pull_secrets_are_written_as_kfp_writes_them() -> None:
    @dsl.component
    def step() -> None:
        pass

    @dsl.pipeline
    def pipeline() -> None:
        kubernetes.set_image_pull_secrets(step(), ["mirror", "other"])

    compiled = json_format.MessageToDict(pipeline.platform_spec)
    (expected,) = compiled["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    _, platform = yaml.safe_load_all(for_site(compiled_pipeline("distillation", True), None, ["mirror", "other"]))
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert "exec-notify" in executors and executors.keys() == containers(checked_in("distillation")).keys() | {
        "exec-notify"
    }
    for executor in executors.values():
        assert executor["imagePullSecret"] == expected["imagePullSecret"]


def test_a_cluster_is_not_sent_images_that_it_cannot_pull() -> None:
    content = checked_in("distillation")
    with pytest.raises(
        UserError, match=r"^a cluster cannot pull localhost/.*: set COMPAWARE_IMAGES or --images to where"
    ):
        check_images(content, None)
    check_images(content, images.read_setting(images.LOCAL))
    edited = content.replace("localhost/compaware/", "compaware/")
    with pytest.raises(
        UserError, match=r"^an image of the compiled pipeline is 'compaware/.*', which names no registry"
    ):
        check_images(edited, None)
    check_images(content.replace("localhost/", "registry.example.com/"), None)


def test_images_of_another_site_are_not_mixed_in() -> None:
    other = for_site(checked_in("distillation"), images.read_setting("other.example.com/compaware"), [])
    with pytest.raises(UserError, match=r"names the image other\.example\.com/.*: run `compaware compile`, or unset"):
        for_site(other, images.read_setting(SITE), [])
    same = for_site(other, images.read_setting("other.example.com/compaware"), [])
    assert same == other


def test_docker_runs_the_images_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(images.VARIABLE, SITE)
    spec = train_in_place(catalog.spec("distillation"))
    used = {executor["container"]["image"] for executor in spec["deploymentSpec"]["executors"].values()}
    assert used == {f"{PREFIX}/{name}:2.0" for name in ("benchmark", "data", "trainer")}


def test_compile_writes_the_pipelines_for_the_ui(tmp_path: Path) -> None:
    words = ("compile", "--output", str(tmp_path), "--images", SITE, "--image-pull-secrets", "mirror")
    assert command(*words) == 0
    files = sorted(tmp_path.glob("*.yaml"))
    assert [file.stem for file in files] == catalog.names()
    for file in files:
        content = file.read_text(encoding="utf-8")
        assert all(one["image"].startswith(f"{PREFIX}/") for one in containers(content).values())
        assert content.count("imagePullSecret:") == len(containers(content))
    assert command(*words, "--check") == 0


def test_a_run_has_the_images_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("submit", "distillation", "--dry-run", "--name", "first")
    assert command(*words) == 2
    assert capsys.readouterr().err.startswith("error: a cluster cannot pull localhost/compaware/")
    monkeypatch.setenv(images.VARIABLE, SITE)
    assert command(*words) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["images"] == [f"{PREFIX}/{name}:2.0" for name in ("benchmark", "data", "launcher")]
    assert command(*words, "--images", "compaware:1") == 2
    assert capsys.readouterr().err.startswith("error: COMPAWARE_IMAGES is 'compaware:1': write REGISTRY/PREFIX:TAG")
    assert command("schedule", "set", *words[1:], "--every", "1h", "--images", "localhost/compaware") == 0


def test_a_job_s_image_without_a_registry_is_not_submitted(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        command("submit", "distillation", "--dry-run", "--images", SITE, "job={image: compaware/trainer-ipex:1}") == 2
    )
    assert "job.image is 'compaware/trainer-ipex:1', which names no registry" in capsys.readouterr().err
