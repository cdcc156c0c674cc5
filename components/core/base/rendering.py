"""Renders Jinja templates of HTML and Markdown with all values escaped."""

from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from compaware.components.core.base.escaping import markdown, plain

_LONGEST_NAME = 120
_LONGEST_OF_SEVERAL = 60


def render(template: str, *packages: str, **values: Any) -> str:
    """Renders a template.

    Args:
        template: File name. In `.html.j2` (HTML) and `.md.j2` (Markdown), values are escaped unless marked `safe`; in
            other files they are not.
        packages: Packages below `compaware.components` whose folders are searched for the template and its includes.
        values: Values for the template. The filters are `thousands` and `name`, which shortens a long name.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(f"compaware.components.{package}") for package in packages]),
        autoescape=template.endswith(".html.j2"),
        finalize=next((finalize for ending, finalize in _FINALIZE.items() if template.endswith(ending)), None),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not template.endswith(".html.j2"),
    )
    environment.filters |= {"thousands": lambda number: f"{number:,}", "name": cut}
    return environment.get_template(template).render(**values)


def cut(name: str, length: int = _LONGEST_NAME) -> str:
    """Shortens a name to at most `length` characters."""
    return name if len(name) <= length else name[: length - 1] + "…"


def cut_short(name: str) -> str:
    """Shortens the name of a class or column that shares a sentence or a table's row with others."""
    return cut(name, _LONGEST_OF_SEVERAL)


def _finalize_html(value: Any) -> Any:
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _finalize_markdown(value: Any) -> Any:
    return value if isinstance(value, Markup) else markdown(value)


_FINALIZE = {".html.j2": _finalize_html, ".md.j2": _finalize_markdown}
