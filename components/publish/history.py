"""The page of a prefix: what was published there, what was refused, and how the metric went."""

from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from compaware.components.benchmark.charts import metric_by_version
from compaware.components.benchmark.phrases import megabytes, sentence
from compaware.components.core.artifacts import write_text
from compaware.components.core.published import Entry

# More would not be legible; history.json has all.
_SHOWN = 30


def write_pages(folder: Path, words: str, history: list[Entry]) -> None:
    """Writes history.html and history.md.

    Args:
        folder: Where.
        words: What this run did.
        history: The oldest first.
    """
    shown = history[-_SHOWN:]
    chart = None
    if shown:
        points = [(item.time, item.metric, item.published) for item in shown]
        chart = Markup(metric_by_version(points, shown[-1].metric_name))
    for name in ("history.html", "history.md"):
        environment = Environment(
            # The benchmark's report and this page have one style sheet.
            loader=ChoiceLoader([PackageLoader(f"compaware.components.{room}") for room in ("publish", "benchmark")]),
            autoescape=name.endswith(".html"),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["cell"] = lambda text: " ".join(str(text).split()).replace("|", "\\|")
        page = environment.get_template(f"{name}.j2").render(
            words=sentence(words), entries=shown[::-1], chart=chart, megabytes=megabytes
        )
        write_text(folder / name, page)
