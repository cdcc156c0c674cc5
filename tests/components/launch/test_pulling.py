"""A job's pods run an image that the cluster can pull, without being told."""

from typing import Any

import pytest

from compaware.components import images
from compaware.components.core.base.errors import UserError
from compaware.components.launch import JobOptions
from compaware.components.launch.batchjob import BATCHJOB
from compaware.components.launch.job import Job
from compaware.components.launch.pulling import with_image
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.launch.trainjob import TRAINJOB
from tests.manifests.reading import values


def pod(image: str, *secrets: str) -> dict[str, Any]:
    """A task's pod, in which Argo runs two containers of its own."""
    others = [{"name": name, "image": "quay.io/argoproj/argoexec:v4.0.5"} for name in ("wait", "sidecar")]
    pulls = {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}
    return {"spec": {"containers": [others[0], {"name": "main", "image": image}, others[1]], **pulls}}


@pytest.mark.parametrize("kind", [BATCHJOB, PYTORCHJOB, TRAINJOB])
def test_a_job_has_the_registry_the_tag_and_the_pull_secrets_of_its_task(kind: Any) -> None:
    options = with_image(JobOptions(), pod("registry.example.com/team/launcher:2.0", "mirror", "other"))
    manifest = kind.manifest(Job("distillation-0", "distillation", {}, options))
    assert set(values(manifest, "image")) == {"registry.example.com/team/trainer:2.0"}
    for secrets in values(manifest, "imagePullSecrets"):
        assert secrets == [{"name": "mirror"}, {"name": "other"}]
    assert list(values(manifest, "imagePullSecrets"))


def test_what_the_job_names_itself_stays() -> None:
    given = JobOptions(image="registry.example.com/mine:1", image_pull_secrets=["mine"])
    options = with_image(given, pod("none", "mirror"))
    assert (options.image, options.image_pull_secrets) == ("registry.example.com/mine:1", ["mine"])


@pytest.mark.parametrize("task", [None, pod("registry.example.com/team/launcher:2.0")])
def test_a_job_does_not_pull_an_image_without_a_registry(task: dict[str, Any] | None) -> None:
    with pytest.raises(UserError, match=r"^job\.image is 'compaware/trainer:1', which names no registry: write it in"):
        with_image(JobOptions(image="compaware/trainer:1"), task)


def test_outside_of_a_pipeline_the_setting_names_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_image(JobOptions(), None).image == images.TRAINER
    monkeypatch.setenv(images.VARIABLE, "registry.example.com/team/compaware:2.0")
    assert with_image(JobOptions(), None).image == "registry.example.com/team/compaware/trainer:2.0"
