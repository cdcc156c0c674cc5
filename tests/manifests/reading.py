"""What tests of manifests read them with."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
_PERMISSION = re.compile(
    r"\| (?:`(?P<group>[\w.]+)`|core)(?P<note> \(.+\))? \| `(?P<resource>[\w/]+)` \| (?P<verbs>[\w, ]+) \|"
)


@cache
def documents() -> list[tuple[Path, dict[str, Any]]]:
    """Every YAML document below manifests/, with its file; the chart's templates are no YAML."""
    files = [file for file in sorted(MANIFESTS.rglob("*.yaml")) if "templates" not in file.parts]
    return [(file, one) for file in files for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def values(node: Any, key: str) -> Iterator[Any]:
    """All values of a key, at any depth."""
    for name, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if name == key:
            yield child
        yield from values(child, key)


def documented_permissions(trainjob: bool = False) -> set[tuple[str, str, str]]:
    """What components/launch/README.md says that the launcher needs: group, resource, verb.

    Args:
        trainjob: With what only TrainJobs need.
    """
    text = (ROOT / "components" / "launch" / "README.md").read_text(encoding="utf-8")
    rows = list(_PERMISSION.finditer(text))
    assert len(rows) == 5, "the table of permissions reads otherwise now"
    return {
        (row["group"] or "", row["resource"], verb)
        for row in rows
        if trainjob or not row["note"]
        for verb in row["verbs"].split(", ")
    }


def granted(rules: list[dict[str, list[str]]]) -> set[tuple[str, str, str]]:
    """What the rules of a Role allow: group, resource, verb."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
