"""Every command and every piece of code in the documentation does what it says, as far as that can be seen here."""

from pathlib import Path

import click
import pytest
import yaml

import compaware.components
from compaware.components.core.data import tasks
from compaware.pipelines.client import catalog
from compaware.pipelines.client.metadata import Metadata
from compaware.pipelines.client.validation import load_arguments
from tests.docs.checks import Checks
from tests.docs.reading import (
    GUIDES,
    OTHERS,
    ROOT,
    Block,
    Command,
    blocks,
    commands,
    commands_in_sentences,
    example_folder,
)


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checks:
    """In a folder of one's own, where no server answers, with a component and a task that the guides may add."""
    folder = example_folder(tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://127.0.0.1:9")
    # Components set it where it is not set: for this process, since they run in it.
    monkeypatch.setenv("GOMP_SPINCOUNT", "3000")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(compaware.components, "__path__", [*compaware.components.__path__, str(folder / "components")])
    monkeypatch.setattr(tasks, "TASKS", dict(tasks.TASKS))
    return Checks(monkeypatch, folder)


def check_block(block: Block, checks: Checks) -> None:
    if block.file:
        file = checks.folder / block.file
        file.parent.mkdir(exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(block.text, encoding="utf-8")
    elif block.kind == "python" and not block.uses_a_run:
        exec(compile(block.text, "the documentation", "exec"), {})
    elif block.kind == "yaml":
        check_yaml(yaml.safe_load(block.text), checks)
    elif block.kind == "":
        for command in commands(block):
            checks.check(command)


def check_yaml(content: dict[str, object], checks: Checks) -> None:
    """Parameters of a pipeline, a component's metadata, or a part of an overlay."""
    if "stability" in content:
        Metadata.model_validate(content)
    elif "components" in content:
        assert all((ROOT / "manifests/overlays/standalone" / path).is_dir() for path in content["components"])
    else:
        (checks.folder / "snippet.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        load_arguments(
            catalog.spec("distillation"), checks.folder / "snippet.yaml", ["teacher=t", "student_layers=[0]"]
        )


def test_the_guides_work_from_the_first_command_to_the_last(checks: Checks) -> None:
    for guide in GUIDES:
        for block in blocks(guide):
            check_block(block, checks)
    assert (checks.folder / "tickets-data" / "card.md").is_file()
    assert (checks.folder / "balance" / "counts.json").is_file()


def test_every_other_command_is_one_that_works(checks: Checks) -> None:
    for file in OTHERS:
        for block in blocks(file):
            check_block(block, checks)


def test_what_sentences_tell_to_make_can_be_made(checks: Checks) -> None:
    found = [command for file in [*GUIDES, *OTHERS] for command in commands_in_sentences(file)]
    assert found
    for command in found:
        checks.check(command)


@pytest.mark.parametrize(
    "words",
    [
        ["make", "moon"],
        ["compaware", "validate", "distillation", "--config", "my.yaml", "temprature=3"],
        ["compaware", "submit", "distillation", "--confg", "my.yaml"],
        ["python", "-m", "compaware.components.distillation", "--config", "FILE", "epoch=3"],
        ["python", "benchmarks/scale_data.py", "--lines", "3"],
        ["docker", "run", "compaware/data:0.0.1", "python", "-m", "compaware.components.data_prep"],
        ["kfp", "run", "create", "--file", "pipelines/distillation/pipeline.yaml"],
        ["kubectl", "apply", "-k", "manifests/overlays/moon"],
        ["sed", "-i", "s#image: moon/#image: sun/#", "pipelines/*/pipeline.yaml"],
        ["curl", "-O", "https://example.com"],
    ],
)
def test_a_command_that_does_not_work_is_found(words: list[str], checks: Checks) -> None:
    with pytest.raises((AssertionError, SystemExit, click.UsageError)):
        checks.check(Command({}, words))
