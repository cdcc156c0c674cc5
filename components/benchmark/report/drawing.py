"""Style, colours and axes of the report's charts: SVG drawn by matplotlib.

Shapes and text are drawn in placeholder colours, which are then replaced by CSS variables of the page, so that one
drawing suits light and dark pages.
"""

import io
import math
import re
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from compaware.components.core.evaluation.metrics import metric_label

# The CSS variable of the page that replaces each placeholder colour.
_VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--grid)",
    "#040404": "var(--surface)",
    "#0a0101": "var(--teacher)",
    "#0a0202": "var(--student)",
    "#0a0303": "var(--int8)",
    "#0a0404": "var(--sparse)",
    "#0a0505": "var(--floor)",
}
INK, MUTED, _GRID, SURFACE, *_ROLES = _VARIABLES
ROLE_COLOURS = dict(zip(("teacher", "student", "int8", "sparse", "floor"), _ROLES, strict=True))
MARKERS = {"torch": "o", "openvino": "s", "onnxruntime": "^", "ipex": "D", "sklearn": "P", "numpy": "X"}
STYLE = {
    "svg.fonttype": "none",
    "svg.id": "chart",
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.color": INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": _GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.left": False,
}


def log_axis(axes: Axes, values: Sequence[float], most_labels: int = 12) -> None:
    """Sets a log scale with room on both sides of the values; only powers of ten are labelled if more do not fit."""
    low, high = min(values) / 1.5, max(values) * 1.5
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    subs = (1, 2, 5) if 3 * math.log10(high / low) <= most_labels else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def metric_axis(axes: Axes, values: Sequence[float], name: str) -> None:
    """Sets the range and the title of an axis of metrics."""
    values = [value for value in values if math.isfinite(value)] or [0.0]  # Undefined ones are not drawn.
    # The range is at least 0.03, so that a single sentence does not look like a large difference.
    middle, half = (max(values) + min(values)) / 2, max(0.015, 0.7 * (max(values) - min(values)))
    axes.set_ylim(middle - half, middle + half)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.set_title(metric_label(name), loc="left", fontsize=10.5, color=MUTED)
    axes.tick_params(length=0)


def svg(figure: Figure, name: str, prefix: str) -> str:
    """Returns the figure as an inline `<svg>` element with unique ids, coloured by CSS variables."""
    text = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": prefix}):
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r' xmlns(:xlink)?="[^"]*"', "", drawing).replace("xlink:href", "href")
    drawing = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', drawing)
    drawing = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', drawing)
    drawing = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", drawing)
    drawing = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", drawing)
    for placeholder, variable in _VARIABLES.items():
        drawing = drawing.replace(placeholder, variable)
    # The page sets width and height; the view box keeps the proportions.
    drawing = re.sub(r'<svg ([^>]*?)height="[^"]*" ([^>]*?)width="[^"]*"', r"<svg \1\2", drawing)
    drawing = re.sub(r'<svg ([^>]*?)width="[^"]*" ([^>]*?)height="[^"]*"', r"<svg \1\2", drawing)
    return drawing.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
