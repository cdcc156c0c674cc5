"""`make release-check` finds what is not ready, and is quiet about what is."""

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
dependencies = ["pyyaml>=6"]
[project.optional-dependencies]
data = ["numpy>=2", "torch==2.13.0"]
old = ["torch==2.8.0"]
dev = ["compaware[data]", "types-pyyaml"]
""",
    "CHANGELOG.md": f"# Changelog\n\n## [{VERSION}] - 2026-01-31\n",
    "manifests/chart/Chart.yaml": f"version: {VERSION}\nappVersion: {VERSION}\n",
    "pipelines/a/pipeline.yaml": f"image: compaware/data:{VERSION}\n",
    "requirements.lock": "numpy==2.1.0\npyyaml==6.0.1\ntorch==2.13.0\ntypes-pyyaml==6.0.12\n",
    "requirements/data.lock": "numpy==2.1.0 \\\n    --hash=sha256:00\npyyaml==6.0.1\ntorch==2.13.0\n",
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A small repository that could be released."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_a_release_has_nothing_to_mend(release: Path):
    for check in (
        release_check.uncommitted,
        release_check.other_versions,
        release_check.missing_changes,
        release_check.stale_locks,
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
    ],
)
def test_what_is_not_ready_is_named(
    check: Callable[[Path], list[str]], name: str, old: str, new: str, expected: str, release: Path
):
    file = release / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    assert any(expected in problem for problem in check(release))
