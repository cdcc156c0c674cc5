"""Checks whether this working tree can be released: prints each condition with its problems; exits with 1 if one fails.

`python tools/release_check.py`. To make a release: set the version in pyproject.toml, run `make install compile docs`,
add a section with the date to CHANGELOG.md, commit, and run this check.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
IMAGE = re.compile(r"compaware/(?:data|trainer|trainer-ipex|benchmark|launcher):([\w.+-]+)")
CHECKED_BY_MAKE = ("lint", "types", "check-fresh")
COMMUNITY_FILES = (
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "OWNERS",
    "SECURITY.md",
    ".github/ISSUE_TEMPLATE/bug.yml",
    ".github/ISSUE_TEMPLATE/feature.yml",
    ".github/pull_request_template.md",
    ".github/workflows/ci.yml",
    ".pre-commit-config.yaml",
    "renovate.json",
)


def uncommitted(root: Path) -> list[str]:
    """Returns the files that are not committed."""
    return _run(["git", "status", "--porcelain"], root).stdout.splitlines()


def other_versions(root: Path) -> list[str]:
    """Returns the places with another version than pyproject.toml."""
    expected = _project(root)["version"]
    chart = yaml.safe_load((root / "manifests/chart/Chart.yaml").read_text(encoding="utf-8"))
    named = [("the installed package", version("compaware"))]
    named += [(f"{key} of manifests/chart/Chart.yaml", str(chart[key])) for key in ("version", "appVersion")]
    for name in _run(["git", "ls-files"], root).stdout.splitlines():
        if (root / name).suffix in (".yaml", ".md"):
            text = (root / name).read_text(encoding="utf-8")
            named += [(name, tag) for tag in IMAGE.findall(text)]
    return sorted({f"{source} has {value}, not {expected}" for source, value in named if value != expected})


def missing_changes(root: Path) -> list[str]:
    """Returns a problem if CHANGELOG.md has no section of this version."""
    expected = _project(root)["version"]
    lines = (root / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    if any(re.fullmatch(rf"## \[{re.escape(expected)}\] - \d{{4}}-\d\d-\d\d", line) for line in lines):
        return []
    return [f"CHANGELOG.md has no line '## [{expected}] - YYYY-MM-DD'"]


def stale_locks(root: Path) -> list[str]:
    """Returns the dependencies of pyproject.toml that a lock file lacks or has in a version that is not allowed."""
    project = _project(root)
    whole = root / "requirements.lock"
    locked_together = _included_extras("dev", project)
    problems = set()
    for extra, dependencies in project["optional-dependencies"].items():
        image = root / "requirements" / f"{extra}.lock"
        for need in map(Requirement, project["dependencies"] + dependencies):
            # Not every extra belongs to an image.
            locks = [whole] if extra in locked_together else []
            locks += [image] if image.is_file() else []
            problems |= {
                f"{lock.name} has {pinned} for {need}: run make lock"
                for lock in locks
                if need.name != project["name"]
                if not need.specifier.contains(pinned := _pinned(lock).get(canonicalize_name(need.name), "0"))
            }
    return sorted(problems)


def missing_community_files(root: Path) -> list[str]:
    """Returns the missing files of a public project."""
    return [f"there is no {name}" for name in COMMUNITY_FILES if not (root / name).is_file()]


def missing_owner(root: Path) -> list[str]:
    """Returns the fields that the owner of the repository still has to fill in."""
    project = _project(root)
    owners = yaml.safe_load((root / "OWNERS").read_text(encoding="utf-8"))
    fields = {
        "authors in pyproject.toml": project.get("authors"),
        "urls.Repository in pyproject.toml": project.get("urls", {}).get("Repository"),
        "approvers in OWNERS": owners["approvers"],
        "reviewers in OWNERS": owners["reviewers"],
    }
    return [f"set {name}" for name, value in fields.items() if not value]


def other_licenses(root: Path) -> list[str]:
    """Returns the places with another license than pyproject.toml."""
    expected = _project(root).get("license")
    chart = yaml.safe_load((root / "manifests/chart/Chart.yaml").read_text(encoding="utf-8"))
    text = (root / "LICENSE").read_text(encoding="utf-8")
    named = {
        "manifests/chart/Chart.yaml": chart.get("annotations", {}).get("artifacthub.io/license"),
        "LICENSE": "Apache-2.0" if text.split()[:4] == ["Apache", "License", "Version", "2.0,"] else "another text",
    }
    return [f"{source} has {value}, not {expected}" for source, value in named.items() if value != expected]


def unpinned_sources(root: Path) -> list[str]:
    """Returns base images without a digest, and GitHub actions that are not pinned to a commit."""
    recipe = (root / "images/Containerfile").read_text(encoding="utf-8")
    problems = [
        f"images/Containerfile: {image} has no digest: docker buildx imagetools inspect {image}"
        for image in re.findall(r"(?m)^ARG BASE_IMAGE=(\S+)", recipe)
        if not re.search(r"@sha256:[0-9a-f]{64}$", image)
    ]
    for file in sorted((root / ".github").rglob("*.yml")):
        for action in re.findall(r"uses: ([^.\s]\S*)", file.read_text(encoding="utf-8")):
            if not re.search(r"@[0-9a-f]{40}$", action):
                problems.append(f"{file.relative_to(root)}: {action} is not pinned to a commit")
    return problems


def _included_extras(extra: str, project: dict[str, Any]) -> set[str]:
    """Returns an extra and the extras that it includes, since requirements.lock is for `dev` and not for all extras."""
    needs = map(Requirement, project["optional-dependencies"][extra])
    more = [name for need in needs if need.name == project["name"] for name in need.extras]
    return {extra}.union(*(_included_extras(name, project) for name in more))


def _pinned(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"(?m)^([a-z0-9.-]+)==([^\s;]+)", lock.read_text(encoding="utf-8")))


def _project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _run(command: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def _make_check(target: str) -> Callable[[Path], list[str]]:
    def check(root: Path) -> list[str]:
        result = _run(["make", "--no-print-directory", target], root)
        return [] if result.returncode == 0 else (result.stdout + result.stderr).strip().splitlines()[-3:]

    return check


CHECKS: dict[str, Callable[[Path], list[str]]] = {
    "everything is committed": uncommitted,
    "one version everywhere": other_versions,
    "the changelog has this version": missing_changes,
    "the lock files agree with pyproject.toml": stale_locks,
    "the files of a public project exist": missing_community_files,
    "one license everywhere": other_licenses,
    "the owner is named": missing_owner,
    "base images and actions are pinned": unpinned_sources,
    **{f"make {target}": _make_check(target) for target in CHECKED_BY_MAKE},
}


def main() -> None:
    """Runs all checks and prints the problems of each."""
    failed = False
    for name, check in CHECKS.items():
        problems = check(ROOT)
        failed = failed or bool(problems)
        print(f"{'no ' if problems else 'yes'} {name}")
        for problem in problems:
            print(f"      {problem}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
