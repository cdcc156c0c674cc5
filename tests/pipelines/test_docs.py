"""The READMEs of components and pipelines agree with their interfaces."""

import re
from pathlib import Path
from typing import Any

import pytest

from compaware.components.core.base.errors import UserError
from compaware.pipelines.client import catalog
from compaware.pipelines.client.docs import COMPONENTS, component_names, component_readme, readmes, with_block
from compaware.pipelines.client.generated import write_all
from compaware.pipelines.client.interfaces import component_source
from compaware.pipelines.client.metadata import load_metadata
from tests.docs.reading import blocks

ROOT = Path(__file__).parents[2]


def test_the_checked_in_readmes_are_fresh():
    assert [file for file, text in readmes().items() if file.read_text(encoding="utf-8") != text] == []


def test_the_first_page_names_every_component_and_pipeline():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = [f"components/{name}" for name in component_names()] + [f"pipelines/{name}" for name in catalog.names()]
    assert [name for name in named if f"]({name})" not in text] == []


def test_metadata_is_valid_and_mistakes_are_named(tmp_path):
    for folder in [*(COMPONENTS / name for name in component_names()), *map(catalog.folder, catalog.names())]:
        assert load_metadata(folder).name == folder.name
    good = (COMPONENTS / "data_prep" / "metadata.yaml").read_text(encoding="utf-8")
    folder = tmp_path / "data_prep"
    folder.mkdir()
    for old, new, expected in (
        ("stability: alpha", "stability: fine", "'stability' is \"fine\""),
        (">=2.14.0", ">=2", "'dependencies.kubeflow.0.version'"),
        ("name: Pipelines", "name: Spark", "it must name Pipelines"),
        ("lastVerified: 2026", "lastSeen: 2026", "'lastVerified' is missing"),
        ("name: data_prep", "name: prep", "'name' is prep: use the folder's name"),
    ):
        (folder / "metadata.yaml").write_text(good.replace(old, new), encoding="utf-8")
        with pytest.raises(UserError, match=re.escape(expected)):
            load_metadata(folder)


def test_every_artifact_and_parameter_is_described():
    for name in component_names():
        empty = [
            line for line in component_readme(name).splitlines() if line.startswith("| `") and line.endswith("|  |")
        ]
        assert empty == []


def test_a_generated_block_replaces_the_text_between_its_comments():
    begin, end = "<!-- Begin families: written by `make docs`. -->", "<!-- End families. -->"
    text = with_block(f"before\n\n{begin}\n\n| stale |\n\n{end}\n\nafter\n", "families", "| fresh |")
    assert text == f"before\n\n{begin}\n\n| fresh |\n\n{end}\n\nafter\n"


def test_the_table_of_families_names_stages_that_do_not_work():
    assert "| ALBERT | yes | no (1) |" in (ROOT / "docs/models.md").read_text(encoding="utf-8")


def test_checking_fails_on_a_stale_file(tmp_path, capsys):
    file = tmp_path / "README.md"
    file.write_text("old", encoding="utf-8")
    assert write_all({file: "new"}, check=True, command="compaware docs") == 1
    assert "run `compaware docs`" in capsys.readouterr().err
    assert write_all({file: "new"}, check=False, command="compaware docs") == 0
    assert write_all({file: "new"}, check=True, command="compaware docs") == 0


def test_the_guide_shows_the_interface_that_its_configuration_gives():
    written = {block.file: block.text for block in blocks(ROOT / "docs" / "adding-a-component.md") if block.file}
    names: dict[str, Any] = {}
    exec(compile(written["components/class_balance/config.py"], "the guide", "exec"), names)
    source = component_source("class_balance", names["ClassBalanceConfig"])
    assert written["components/class_balance/component.py"].partition("\n")[2] == source
