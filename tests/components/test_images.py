"""One setting names the images of a site, and no name lacks its registry."""

import pytest

from compaware.components import images
from compaware.components.core.base.errors import UserError

DIGEST = "sha256:" + "0123456789abcdef" * 4
BY_DIGEST = ",".join(f"{name}=registry.example.com/team/{name}@{DIGEST}" for name in images.NAMES)


@pytest.mark.parametrize(
    ("setting", "trainer"),
    [
        ("registry.example.com/team/compaware:2.0", "registry.example.com/team/compaware/trainer:2.0"),
        ("registry.example.com/compaware", f"registry.example.com/compaware/trainer:{images.VERSION}"),
        ("registry:5000/team/compaware:2.0", "registry:5000/team/compaware/trainer:2.0"),
        ("localhost/compaware", images.TRAINER),
        ("docker.io/team/compaware:2.0", "docker.io/team/compaware/trainer:2.0"),
        (BY_DIGEST, f"registry.example.com/team/trainer@{DIGEST}"),
    ],
)
def test_the_setting_names_all_images(setting: str, trainer: str):
    named = images.read_setting(setting)
    assert sorted(named) == sorted(images.NAMES)
    assert named["trainer"] == trainer
    assert images.read_setting(images.write_setting(named)) == named


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("compaware", "COMPAWARE_IMAGES is 'compaware': write REGISTRY/PREFIX:TAG, such as registry.example.com/team/"),
        ("team/compaware:1", "COMPAWARE_IMAGES is 'team/compaware:1': write REGISTRY/PREFIX:TAG"),
        ("https://registry.example.com/team", "write REGISTRY/PREFIX:TAG"),
        ("registry.example.com/team/", "write REGISTRY/PREFIX:TAG"),
        (f"registry.example.com/compaware@{DIGEST}", "a digest names one image, so write NAME=IMAGE,… for benchmark, "),
        (
            "registry.example.com/team/compaware/trainer:2",
            "is 'registry.example.com/team/compaware/trainer:2', which is one image: write "
            "registry.example.com/team/compaware:2",
        ),
        ("data=registry.example.com/data:1", "COMPAWARE_IMAGES names data: name each of benchmark, data, launcher, "),
        (f"{BY_DIGEST},data=registry.example.com/data:1", "name each of benchmark, data, launcher, trainer once"),
        (BY_DIGEST.replace("registry.example.com/", "", 1), "benchmark in COMPAWARE_IMAGES is 'team/benchmark@sha256"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(setting: str, message: str):
    with pytest.raises(UserError) as caught:
        images.read_setting(setting)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("image", ["trainer:1", "compaware/trainer:1", ""])
def test_an_image_without_a_registry_is_refused(image: str):
    with pytest.raises(UserError, match="which names no registry: write it in full"):
        images.check_image(image, "job.image")


@pytest.mark.parametrize("image", ["Registry.example.com/Trainer", "a.b/c d", "registry.example.com/a@sha256:0123"])
def test_a_name_with_a_registry_is_not_blamed_for_having_none(image: str):
    with pytest.raises(UserError, match="which is no name of an image: write it in full"):
        images.check_image(image, "job.image")


def test_every_built_in_name_has_a_registry_that_nobody_else_can_serve():
    for image in (images.DATA, images.TRAINER, images.BENCHMARK, images.LAUNCHER):
        assert images.check_image(image, "image").startswith("localhost/")
    assert images.current() == images.read_setting(images.LOCAL)


@pytest.mark.parametrize(
    ("launcher", "trainer"),
    [
        ("registry.example.com/team/launcher:2.0", "registry.example.com/team/trainer:2.0"),
        ("launcher:5000/launcher/launcher:launcher", "launcher:5000/launcher/trainer:launcher"),
        (images.LAUNCHER, images.TRAINER),
    ],
)
def test_the_trainer_is_beside_the_launcher(launcher: str, trainer: str):
    assert images.trainer_beside(launcher) == trainer


def test_images_by_digest_are_those_of_the_setting(monkeypatch: pytest.MonkeyPatch):
    launcher = f"registry.example.com/team/launcher@{DIGEST}"
    with pytest.raises(UserError, match=r"does not tell the trainer's: set job\.image, or compile the pipeline with"):
        images.trainer_beside(launcher)
    monkeypatch.setenv(images.VARIABLE, BY_DIGEST)
    assert images.trainer_beside(launcher) == f"registry.example.com/team/trainer@{DIGEST}"
    # Someone renamed the launcher after the pipeline was compiled.
    assert images.trainer_beside("mirror.example.com/launcher:3") == "mirror.example.com/trainer:3"
