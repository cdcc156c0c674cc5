"""`make release-check` reports every problem of a release, and nothing else."""

import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from tools import release_check

VERSION = version("compaware")
FILES = {
    "pyproject.toml": f"""
[project]
name = "compaware"
version = "{VERSION}"
license = "Apache-2.0"
authors = [{{ name = "A" }}]
urls.Repository = "https://example.com/a"
dependencies = ["pyyaml>=6"]
[project.optional-dependencies]
data = ["numpy>=2", "torch==2.13.0"]
old = ["torch==2.8.0"]
dev = ["compaware[data]", "types-pyyaml"]
""",
    "CHANGELOG.md": f"# Changelog\n\n## [{VERSION}] - 2026-01-31\n",
    "manifests/chart/Chart.yaml": f"""
version: {VERSION}
appVersion: {VERSION}
annotations:
  artifacthub.io/license: Apache-2.0
""",
    "pipelines/a/pipeline.yaml": f"image: compaware/data:{VERSION}\n",
    **dict.fromkeys(release_check.COMMUNITY_FILES, ""),
    "LICENSE": "Apache License\nVersion 2.0, January 2004\n",
    "OWNERS": "approvers: [a]\nreviewers: [a]\n",
    "images/Containerfile": f"ARG BASE_IMAGE=docker.io/library/python:3.11@sha256:{'0' * 64}\n",
    ".github/workflows/ci.yml": f"- uses: actions/checkout@{'0' * 40} # v7\n- uses: ./.github/actions/setup\n",
    "requirements.lock": "numpy==2.1.0\npyyaml==6.0.1\ntorch==2.13.0\ntypes-pyyaml==6.0.12\n",
    "requirements/data.lock": "numpy==2.1.0 \\\n    --hash=sha256:00\npyyaml==6.0.1\ntorch==2.13.0\n",
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A small repository that can be released."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_a_complete_release_has_no_problems(release: Path):
    for check in (
        release_check.uncommitted,
        release_check.other_versions,
        release_check.missing_changes,
        release_check.stale_locks,
        release_check.missing_community_files,
        release_check.other_licenses,
        release_check.missing_owner,
        release_check.unpinned_sources,
    ):
        assert check(release) == []


@pytest.mark.parametrize(
    ("check", "name", "old", "new", "expected"),
    [
        (release_check.uncommitted, "CHANGELOG.md", "# Changelog", "# Changes", "CHANGELOG.md"),
        (release_check.other_versions, "pipelines/a/pipeline.yaml", VERSION, "9.9.9", "pipeline.yaml has 9.9.9"),
        (
            release_check.other_versions,
            "manifests/chart/Chart.yaml",
            f"\nappVersion: {VERSION}",
            "\nappVersion: 9",
            "has 9",
        ),
        (release_check.other_versions, "pyproject.toml", VERSION, "9.9.9", "the installed package has"),
        (release_check.missing_changes, "CHANGELOG.md", "2026-01-31", "unreleased", f"no line '## [{VERSION}]"),
        (release_check.stale_locks, "requirements/data.lock", "numpy==2.1.0", "numpy==1.9", "data.lock has 1.9"),
        (release_check.stale_locks, "requirements.lock", "torch==2.13.0", "torch==2.12.0", "has 2.12.0 for torch"),
        (release_check.stale_locks, "requirements.lock", "numpy==2.1.0\n", "", "for numpy>=2: run make lock"),
        (release_check.other_licenses, "LICENSE", "2.0, January", "1.1", "LICENSE has another text, not Apache-2.0"),
        (release_check.other_licenses, "manifests/chart/Chart.yaml", "Apache-2.0", "MIT", "Chart.yaml has MIT"),
        (release_check.missing_owner, "pyproject.toml", 'authors = [{ name = "A" }]', "", "set authors in pyproject"),
        (release_check.missing_owner, "pyproject.toml", "urls.Repository", "urls.Other", "set urls.Repository in"),
        (release_check.missing_owner, "OWNERS", "approvers: [a]", "approvers: []", "set approvers in OWNERS"),
        (release_check.unpinned_sources, "images/Containerfile", "@sha256:" + "0" * 64, "", "3.11 has no digest"),
        (release_check.unpinned_sources, ".github/workflows/ci.yml", "0" * 40, "v7", "checkout@v7 is not pinned"),
    ],
)
def test_a_problem_is_named(
    check: Callable[[Path], list[str]], name: str, old: str, new: str, expected: str, release: Path
):
    file = release / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    assert any(expected in problem for problem in check(release))


def test_a_missing_file_of_a_public_project_is_named(release: Path):
    (release / "SECURITY.md").unlink()
    assert release_check.missing_community_files(release) == ["there is no SECURITY.md"]


def test_all_problems_are_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    problems = [f"set field {number}" for number in range(5)]
    monkeypatch.setattr(release_check, "CHECKS", {"the owner is named": lambda _: problems, "other": lambda _: []})
    with pytest.raises(SystemExit) as stopped:
        release_check.main()
    assert stopped.value.code
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert printed == ["no  the owner is named", *problems, "yes other"]
