"""The READMEs of components and pipelines say what the interfaces say."""

from compaware.pipelines.client.docs import component_names, component_readme, project_readme, readmes
from compaware.pipelines.client.generated import write_all


def test_the_checked_in_readmes_are_fresh():
    assert [file for file, text in readmes().items() if file.read_text(encoding="utf-8") != text] == []


def test_every_artifact_and_parameter_is_described():
    for name in component_names():
        empty = [
            line for line in component_readme(name).splitlines() if line.startswith("| `") and line.endswith("|  |")
        ]
        assert empty == []


def test_the_table_of_families_replaces_what_stood_between_its_comments():
    begin, end = "<!-- Families: from components/core/families.py, by `make docs`. -->", "<!-- End of families. -->"
    text = project_readme(f"before\n\n{begin}\n\n| stale |\n\n{end}\n\nafter\n")
    assert text.startswith(f"before\n\n{begin}\n\n| family |") and text.endswith(f"\n\n{end}\n\nafter\n")
    assert "stale" not in text and "| ALBERT | yes | no (1) |" in text


def test_checking_fails_on_a_stale_file(tmp_path, capsys):
    file = tmp_path / "README.md"
    file.write_text("old", encoding="utf-8")
    assert write_all({file: "new"}, check=True, command="compaware docs") == 1
    assert "run `compaware docs`" in capsys.readouterr().err
    assert write_all({file: "new"}, check=False, command="compaware docs") == 0
    assert write_all({file: "new"}, check=True, command="compaware docs") == 0
