"""Helpers that read the manifests for tests."""

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
_PERMISSION = re.compile(r"\| (?:`(?P<group>[\w.-]+)`|core) \| `(?P<resource>[\w/]+)` \| (?P<verbs>[\w, ]+) \|")


@cache
def documents() -> list[tuple[Path, dict[str, Any]]]:
    """Returns every YAML document below manifests/ with its file, except the chart's templates, which are not YAML.

    The pipelines are as `make manifests` would write them now.
    """
    files = [file for file in sorted(MANIFESTS.rglob("*.yaml")) if not {"templates", "pipelines"} & set(file.parts)]
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    written = importlib.import_module("tools.pipeline_resources").files()
    return [(file, one) for file, text in (texts | written).items() for one in yaml.safe_load_all(text)]


def values(node: Any, key: str) -> Iterator[Any]:
    """Yields all values of a key, at any depth."""
    for name, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if name == key:
            yield child
        yield from values(child, key)


def documented_permissions() -> set[tuple[str, str, str]]:
    """Returns the permissions of the launcher in components/launch/README.md: group, resource, verb."""
    text = (ROOT / "components" / "launch" / "README.md").read_text(encoding="utf-8")
    rows = list(_PERMISSION.finditer(text))
    assert len(rows) == 10, "the table of permissions has changed"
    return {(row["group"] or "", row["resource"], verb) for row in rows for verb in row["verbs"].split(", ")}


def granted(rules: list[dict[str, list[str]]]) -> set[tuple[str, str, str]]:
    """Returns the permissions that the rules of a Role grant: group, resource, verb."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
