"""The page of a prefix: what was published there, what was refused, and how the metric went."""

from functools import partial
from pathlib import Path

from markupsafe import Markup

from compaware.components.benchmark.charts import metric_by_version
from compaware.components.benchmark.formatting import capitalized, format_size
from compaware.components.core.base.files import write_text
from compaware.components.core.base.rendering import render
from compaware.components.publish.history_files import Entry

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
        # Scores of another metric, from before the data's changed, have no place on this axis.
        name = shown[-1].metric_name
        points = [(item.time, item.metric, item.published) for item in shown if item.metric_name == name]
        chart = Markup(metric_by_version(points, name))
    for name in ("history.html", "history.md"):
        # The benchmark's report and this page have one style sheet.
        page = render(
            f"{name}.j2",
            "publish",
            "benchmark",
            words=capitalized(words),
            entries=shown[::-1],
            chart=chart,
            format_size=format_size,
            score=partial(_score, shown),
        )
        write_text(folder / name, page)


def _score(shown: list[Entry], item: Entry) -> str:
    """An entry's metric, with its name where it is not that of the newest, which heads the column."""
    name = f"{item.metric_name} " if item.metric_name != shown[-1].metric_name else ""
    return f"{name}{item.metric:.4f}"
