"""A room of `components.core` imports only from floors below its own, even in functions."""

import ast
from collections import defaultdict
from pathlib import Path

import compaware.components

ROOT = Path(compaware.components.__path__[0])
PACKAGE = "compaware.components"
FLOORS = {
    "core.base": 1,
    "storage": 2,
    "core.data": 3,
    "core.models": 4,
    "core.runtimes": 5,
    "core.sparsity": 5,
    "core.evaluation": 6,
    "core.int8": 7,
    "core.stage": 7,
    "core.training": 8,
}


def room(module: str) -> str:
    """Returns a module's room: `core.base` for `core.base.files`, `data_prep` for `data_prep.tables.readers`."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "core" else 1])


def imported(file: Path) -> set[str]:
    """Returns our modules that a file imports, including in functions and below `if TYPE_CHECKING`."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} has a relative import"
            # `from package import module` also imports a module.
            modules.update(f"{node.module}.{name.name}" for name in node.names)
    return {name.removeprefix(f"{PACKAGE}.") for name in modules if name.startswith(f"{PACKAGE}.")}


def arrows() -> dict[str, set[str]]:
    """Returns the rooms that each room imports from."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in ROOT.rglob("*.py"):
        own = room(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
        found[own] |= {room(module) for module in imported(file)} - {own}
    return found


def test_a_room_imports_only_from_floors_below() -> None:
    found = arrows()
    assert {name for name in found if name.startswith("core.")} <= FLOORS.keys(), "a room without a floor"
    upward = [
        f"{own} imports {other}"
        for own in FLOORS
        for other in sorted(found[own])
        if FLOORS.get(other, 99) >= FLOORS[own]
    ]
    assert upward == []
    print(f"{len(FLOORS)} rooms, {sum(len(found[own]) for own in FLOORS)} arrows")


def test_launching_knows_nothing_of_training() -> None:
    assert arrows()["launch"] <= {"core.base", "storage", "images"}


def test_the_architecture_page_names_each_room_with_its_floor() -> None:
    page = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name, floor in FLOORS.items():
        assert f"| {floor} | `{name.replace('.', '/')}` |" in page
