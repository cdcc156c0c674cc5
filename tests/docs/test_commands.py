"""Every command and all code in the documentation work, as far as they can run here."""

from pathlib import Path

import click
import pytest
import yaml

import compaware.components
from compaware.components.core.base.store_names import SITE_STORES_VARIABLE
from compaware.components.core.data import tasks
from compaware.components.storage.mappings import named_secrets
from compaware.pipelines.client import catalog
from compaware.pipelines.client.metadata import Metadata
from compaware.pipelines.client.site import read_site
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
    """Checks commands in a temporary folder without a server, to which guides may add a component and a task."""
    folder = example_folder(tmp_path)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://127.0.0.1:9")
    # Components run in this process and would set this variable for it.
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
    """Checks parameters of a pipeline, settings of a site, the metadata of a component, or a part of an overlay."""
    if "stability" in content:
        Metadata.model_validate(content)
    elif "components" in content:
        assert all((ROOT / "manifests/overlays/standalone" / path).is_dir() for path in content["components"])
    elif "pods" in content:
        (checks.folder / "site.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        assert read_site(checks.folder / "site.yaml").pods
    elif "s3" in content:
        assert named_secrets({SITE_STORES_VARIABLE: yaml.safe_dump(content)})
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


def test_every_other_command_works(checks: Checks) -> None:
    for file in OTHERS:
        for block in blocks(file):
            check_block(block, checks)


def test_make_targets_in_sentences_exist(checks: Checks) -> None:
    make_commands = [command for file in [*GUIDES, *OTHERS] for command in commands_in_sentences(file)]
    assert make_commands
    for command in make_commands:
        checks.check(command)


@pytest.mark.parametrize(
    "words",
    [
        ["make", "moon"],
        ["compaware", "validate", "distillation", "--config", "my.yaml", "temprature=3"],
        ["compaware", "submit", "distillation", "--confg", "my.yaml"],
        ["python", "-m", "compaware.components.distillation", "--config", "FILE", "epoch=3"],
        ["python", "benchmarks/scale_data.py", "--lines", "3"],
        ["docker", "run", "localhost/compaware/data:0.0.1", "python", "-m", "compaware.components.data_prep"],
        ["kfp", "run", "create", "--file", "pipelines/distillation/pipeline.yaml"],
        ["kubectl", "apply", "-k", "manifests/overlays/moon"],
        ["sed", "-i", "s#image: moon/#image: sun/#", "pipelines/*/pipeline.yaml"],
        ["curl", "-O", "https://example.com"],
    ],
)
def test_a_wrong_command_is_found(words: list[str], checks: Checks) -> None:
    with pytest.raises((AssertionError, SystemExit, click.UsageError)):
        checks.check(Command({}, words))
