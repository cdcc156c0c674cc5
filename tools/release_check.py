"""Is this working tree a release? One line for each thing that has to hold; exit code 1 when one of them does not.

`python tools/release_check.py`. To make a release: set the version in pyproject.toml, `make install compile docs`, give
CHANGELOG.md its section and day, commit, and run this.
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
    """Files that differ from the last commit or are not in it."""
    return _run(["git", "status", "--porcelain"], root).stdout.splitlines()


def other_versions(root: Path) -> list[str]:
    """Places that name another version than pyproject.toml."""
    ours = _project(root)["version"]
    chart = yaml.safe_load((root / "manifests/chart/Chart.yaml").read_text(encoding="utf-8"))
    named = [("the installed package", version("compaware"))]
    named += [(f"{key} of manifests/chart/Chart.yaml", str(chart[key])) for key in ("version", "appVersion")]
    for name in _run(["git", "ls-files"], root).stdout.splitlines():
        if (root / name).suffix in (".yaml", ".md"):
            text = (root / name).read_text(encoding="utf-8")
            named += [(name, found) for found in IMAGE.findall(text)]
    return sorted({f"{place} has {found}, not {ours}" for place, found in named if found != ours})


def missing_changes(root: Path) -> list[str]:
    """What CHANGELOG.md lacks for this version."""
    ours = _project(root)["version"]
    lines = (root / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    if any(re.fullmatch(rf"## \[{re.escape(ours)}\] - \d{{4}}-\d\d-\d\d", line) for line in lines):
        return []
    return [f"CHANGELOG.md has no line '## [{ours}] - YYYY-MM-DD'"]


def stale_locks(root: Path) -> list[str]:
    """Dependencies of pyproject.toml that a lock does not hold, or holds in a version that it does not allow."""
    project = _project(root)
    whole = root / "requirements.lock"
    together = _with_their_extras("dev", project)
    problems = set()
    for extra, dependencies in project["optional-dependencies"].items():
        image = root / "requirements" / f"{extra}.lock"
        for need in map(Requirement, project["dependencies"] + dependencies):
            # Not every extra is an image's.
            locks = [whole] if extra in together else []
            locks += [image] if image.is_file() else []
            problems |= {
                f"{lock.name} has {found} for {need}: run make lock"
                for lock in locks
                if need.name != project["name"]
                if not need.specifier.contains(found := _pinned(lock).get(canonicalize_name(need.name), "0"))
            }
    return sorted(problems)


def missing_community_files(root: Path) -> list[str]:
    """Files of a public project that are not there."""
    return [f"there is no {name}" for name in COMMUNITY_FILES if not (root / name).is_file()]


def missing_owner(root: Path) -> list[str]:
    """What only the owner of the repository can fill in, and has not."""
    project = _project(root)
    owners = yaml.safe_load((root / "OWNERS").read_text(encoding="utf-8"))
    given = {
        "authors in pyproject.toml": project.get("authors"),
        "urls.Repository in pyproject.toml": project.get("urls", {}).get("Repository"),
        "approvers in OWNERS": owners["approvers"],
        "reviewers in OWNERS": owners["reviewers"],
    }
    return [f"set {name}" for name, value in given.items() if not value]


def other_licenses(root: Path) -> list[str]:
    """Places that name another license than pyproject.toml."""
    ours = _project(root).get("license")
    chart = yaml.safe_load((root / "manifests/chart/Chart.yaml").read_text(encoding="utf-8"))
    text = (root / "LICENSE").read_text(encoding="utf-8")
    named = {
        "manifests/chart/Chart.yaml": chart.get("annotations", {}).get("artifacthub.io/license"),
        "LICENSE": "Apache-2.0" if text.split()[:4] == ["Apache", "License", "Version", "2.0,"] else "another text",
    }
    return [f"{place} has {found}, not {ours}" for place, found in named.items() if found != ours]


def moving_sources(root: Path) -> list[str]:
    """Base images without a digest, and GitHub actions that are not pinned by a commit."""
    recipe = (root / "images/Containerfile").read_text(encoding="utf-8")
    problems = [
        f"images/Containerfile: {image} has no digest: docker buildx imagetools inspect {image}"
        for image in re.findall(r"(?m)^ARG BASE_IMAGE=(\S+)", recipe)
        if not re.search(r"@sha256:[0-9a-f]{64}$", image)
    ]
    for file in sorted((root / ".github").rglob("*.yml")):
        for action in re.findall(r"uses: ([^.\s]\S*)", file.read_text(encoding="utf-8")):
            if not re.search(r"@[0-9a-f]{40}$", action):
                problems.append(f"{file.relative_to(root)}: {action} is not pinned by a commit")
    return problems


def _with_their_extras(extra: str, project: dict[str, Any]) -> set[str]:
    """An extra and those that it asks for: requirements.lock is of `dev`, and not all fit together."""
    needs = map(Requirement, project["optional-dependencies"][extra])
    more = [name for need in needs if need.name == project["name"] for name in need.extras]
    return {extra}.union(*(_with_their_extras(name, project) for name in more))


def _pinned(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"(?m)^([a-z0-9.-]+)==([^\s;]+)", lock.read_text(encoding="utf-8")))


def _project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _run(command: list[str], root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def _made(target: str) -> Callable[[Path], list[str]]:
    def check(root: Path) -> list[str]:
        done = _run(["make", "--no-print-directory", target], root)
        return [] if done.returncode == 0 else (done.stdout + done.stderr).strip().splitlines()[-3:]

    return check


CHECKS: dict[str, Callable[[Path], list[str]]] = {
    "everything is committed": uncommitted,
    "one version everywhere": other_versions,
    "the changelog has this version": missing_changes,
    "the locks hold what pyproject.toml asks for": stale_locks,
    "the files of a public project are there": missing_community_files,
    "one license everywhere": other_licenses,
    "the owner is named": missing_owner,
    "base images and actions are pinned": moving_sources,
    **{f"make {target}": _made(target) for target in CHECKED_BY_MAKE},
}


def main() -> None:
    """Runs all checks and says one line of each."""
    failed = False
    for name, check in CHECKS.items():
        problems = check(ROOT)
        failed = failed or bool(problems)
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        print(f"{'no ' if problems else 'yes'} {name}{': ' if problems else ''}{'; '.join(problems[:3])}{more}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
