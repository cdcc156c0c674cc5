"""Renders the history page of a prefix: published and refused versions with their metric."""

from functools import partial
from pathlib import Path

from markupsafe import Markup

from compaware.components.benchmark.report.charts import metric_by_version
from compaware.components.benchmark.report.formatting import capitalized, format_score, format_size
from compaware.components.core.base.files import write_text
from compaware.components.core.base.rendering import render
from compaware.components.core.evaluation.criterion import CHOSEN_ON_THESE_ROWS
from compaware.components.core.evaluation.metrics import metric_label
from compaware.components.publish.history_files import Entry

# More entries would not be legible; history.json has all.
_MAX_ENTRIES = 30


def write_history_pages(folder: Path, message: str, history: list[Entry]) -> None:
    """Writes history.html and history.md.

    Args:
        folder: Folder for the pages.
        message: Result of this run.
        history: All entries, the oldest first.
    """
    shown = history[-_MAX_ENTRIES:]
    chart = None
    if shown:
        # Earlier entries may have another metric, which does not fit on this axis.
        name = shown[-1].metric_name
        points = [(item.time, item.metric, item.published) for item in shown if item.metric_name == name]
        chart = Markup(metric_by_version(points, name))
    for name in ("history.html", "history.md"):
        # The page uses the style sheet of the benchmark's report.
        page = render(
            f"{name}.j2",
            "publish",
            "benchmark.report",
            message=capitalized(message),
            entries=shown[::-1],
            metric=metric_label(shown[-1].metric_name) if shown else "",
            chart=chart,
            format_score=format_score,
            format_size=format_size,
            score=partial(_score, shown),
            has_test=any(item.test_metric is not None for item in shown),
            rows=_describe_rows(shown),
        )
        write_text(folder / name, page)


def _describe_rows(shown: list[Entry]) -> str:
    """Returns a sentence that says which rows the decisions were made on."""
    if shown and shown[-1].test_rows:
        return "Each version was judged on validation; test was used for no decision."
    return f"Each version was judged on validation: the figures are of models {CHOSEN_ON_THESE_ROWS}."


def _score(shown: list[Entry], item: Entry) -> str:
    """Returns an entry's metric, with its name if it is not the newest entry's, which is the column's heading."""
    name = f"{metric_label(item.metric_name)} " if item.metric_name != shown[-1].metric_name else ""
    return f"{name}{format_score(item.metric)}"
