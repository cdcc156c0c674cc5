"""A package's names mean the same whatever was imported before."""

import symtable
from importlib.util import find_spec
from pathlib import Path
from pkgutil import ModuleInfo, iter_modules, walk_packages

import compaware.components
import compaware.pipelines

ROOTS = (compaware.components, compaware.pipelines)


def packages() -> list[str]:
    walked = [module for root in ROOTS for module in walk_packages(root.__path__, f"{root.__name__}.")]
    return [root.__name__ for root in ROOTS] + [module.name for module in walked if module.ispkg]


def names_of_its_own(file: Path) -> set[str]:
    """What a module binds: functions, classes, variables and what it imports."""
    table = symtable.symtable(file.read_text(encoding="utf-8"), str(file), "exec")
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}


def clashes(submodules: list[ModuleInfo], own: set[str]) -> set[str]:
    # The first import of a submodule binds its name in the package, over whatever had that name.
    return {module.name for module in submodules} & own


def test_no_package_exports_a_name_that_one_of_its_submodules_has() -> None:
    found = {}
    for package in packages():
        spec = find_spec(package)
        assert spec is not None and spec.submodule_search_locations is not None
        own = names_of_its_own(Path(spec.origin)) if spec.origin else set()
        found[package] = clashes(list(iter_modules(spec.submodule_search_locations)), own)
    assert len(found) > 20
    assert {package: names for package, names in found.items() if names} == {}
