"""Charts of the report: SVG drawn by matplotlib, with colours that come from the page's style sheet.

Shapes and text are drawn in placeholder colours, which are then replaced by CSS variables, so that one drawing suits
light and dark pages.
"""

import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import Bbox

from compaware.components.benchmark.config import Role
from compaware.components.benchmark.formatting import display_name, runtime_label
from compaware.components.benchmark.results import Benchmark, Measured, fastest
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
# A point of a chart: x, y and the candidate.
Point = tuple[float, float, Measured]
_INK, _MUTED, _GRID, _SURFACE, *_ROLES = _VARIABLES
_ROLE_COLOURS = dict(zip(("teacher", "student", "int8", "sparse", "floor"), _ROLES, strict=True))
_MOST_POINTS = 150
MARKERS = {"torch": "o", "openvino": "s", "onnxruntime": "^", "ipex": "D", "sklearn": "P"}
# Positions of a label around its point, best first: offset in points and alignment.
_LABEL_POSITIONS = [
    (0, 9, "center"),
    (-3, 8, "right"),
    (3, 8, "left"),
    (0, -18, "center"),
    (9, -3, "left"),
    (-9, -3, "right"),
    (0, 22, "center"),
    (0, -31, "center"),
]
_STYLE = {
    "svg.fonttype": "none",
    "svg.id": "chart",
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.color": _INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _MUTED,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "grid.color": _GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.left": False,
}


def accuracy_against_latency(benchmark: Benchmark, batch_size: int) -> str:
    """Draws the metric of each candidate in each runtime against its median latency (log scale)."""
    points = [(item.batches[batch_size].p50_ms, item.metric, item) for item in benchmark.candidates]
    figure, axes = _scatter(points, benchmark)
    axes.set_xlabel(f"p50 latency at batch {batch_size}, ms (log scale)")
    return _svg(figure, f"{metric_label(points[0][2].metric_name)} against latency", "latency")


def accuracy_against_size(benchmark: Benchmark) -> str:
    """Draws the metric of each candidate against its size (log scale); hollow markers show the size after deflate."""
    points, hollow = [], []
    for item in {(item.name, item.size_bytes): item for item in benchmark.candidates}.values():
        points.append((item.size_bytes / 1e6, item.metric, item))
        hollow.append((item.compressed_bytes / 1e6, item.metric, item))
    figure, axes = _scatter(points, benchmark, hollow)
    axes.set_xlabel("size on disk, MB (log scale); hollow: deflated")
    return _svg(figure, f"{metric_label(points[0][2].metric_name)} against size", "size")


def pareto(
    points: Sequence[Point],
    front: Sequence[Point],
    benchmark: Benchmark,
    axis: str,
    limits: tuple[float | None, float | None],
) -> str:
    """Draws the metric of candidates against a cost (log scale), with a line along the Pareto front.

    Args:
        points: All candidates, with their cost and metric.
        front: The candidates on the Pareto front.
        benchmark: The benchmark that the candidates are from.
        axis: Name of the cost, with its unit.
        limits: Maximum cost and minimum metric, drawn as dashed lines; None for no limit.
    """
    figure, axes = _scatter(points, benchmark, named=front)
    steps = sorted((x, y) for x, y, _ in front)
    axes.step([x for x, _ in steps], [y for _, y in steps], where="post", color=_MUTED, linewidth=1.4, zorder=2)
    most, least = limits
    if most is not None:
        axes.axvline(most, color=_MUTED, linewidth=1.2, linestyle=(0, (4, 4)), zorder=1)
    if least is not None:
        axes.axhline(least, color=_MUTED, linewidth=1.2, linestyle=(0, (4, 4)), zorder=1)
    axes.set_xlabel(f"{axis} (log scale)")
    return _svg(figure, f"{metric_label(points[0][2].metric_name)} against {axis}", re.sub(r"\W+", "-", axis))


def throughput_by_batch(benchmark: Benchmark) -> str:
    """Draws the sentences per second at each batch size, of the reference and of each model's fastest accurate form."""
    reference = benchmark.reference("teacher")
    names = list(dict.fromkeys(item.name for item in benchmark.candidates))
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 0.4 + len(benchmark.batch_sizes) * (0.5 + 0.35 * (len(names) + 1))))
        panels = figure.subplots(len(benchmark.batch_sizes), 1, squeeze=False)[:, 0]
        for axes, size in zip(panels, benchmark.batch_sizes, strict=True):
            best = [fastest(benchmark.accurate_forms(name), size) for name in names]
            shown = ([reference] if reference and reference not in best else []) + best
            _bars(axes, shown, size)
        figure.set_layout_engine("tight", h_pad=1.4)
        return _svg(figure, "throughput by batch size", "throughput")


def metric_by_version(points: Sequence[tuple[str, float, bool]], metric_name: str) -> str:
    """Draws the metric of each version: published ones are joined by a line, refused ones are hollow.

    Args:
        points: ISO time, metric, and whether the version was published.
        metric_name: Name of the metric.
    """
    published = [(index, value) for index, (_, value, is_published) in enumerate(points) if is_published]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3))
        axes = figure.subplots()
        axes.plot(*zip(*published, strict=True), color=_ROLE_COLOURS["int8"], linewidth=1.6, zorder=2)
        for index, (_, value, is_published) in enumerate(points):
            colours = (_ROLE_COLOURS["int8"], _SURFACE) if is_published else (_SURFACE, _MUTED)
            axes.scatter(index, value, s=64, c=colours[0], edgecolors=colours[1], linewidths=1.4, zorder=3)
        _metric_axis(
            axes, [value for _, value, _ in points], f"{metric_label(metric_name)} on validation; hollow: refused"
        )
        axes.set_xlim(-0.5, len(points) - 0.5)
        every = -(-len(points) // 8)
        axes.set_xticks(range(0, len(points), every), [time[5:16].replace("T", " ") for time, _, _ in points[::every]])
        figure.set_layout_engine("tight")
        return _svg(figure, f"{metric_label(metric_name)} by version", "history")


def latency_distribution(benchmark: Benchmark, batch_size: int) -> str:
    """Draws the latencies of each candidate (log scale): a thin middle 90 %, a thick middle 50 %, and the median."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 0.7 + 0.3 * len(benchmark.candidates)))
        axes = figure.subplots()
        for index, item in enumerate(benchmark.candidates):
            p5, p25, p50, p75, p95 = item.batches[batch_size].quantiles_ms
            colour = _ROLE_COLOURS[item.role]
            axes.plot([p5, p95], [index, index], color=colour, linewidth=1.4)
            axes.plot([p25, p75], [index, index], color=colour, linewidth=8, solid_capstyle="butt")
            axes.scatter(p50, index, s=24, c=_SURFACE, edgecolors=colour, linewidths=1.2, zorder=4)
        axes.margins(y=0.1)
        _log_axis(axes, [value for item in benchmark.candidates for value in item.batches[batch_size].quantiles_ms])
        names = [f"{display_name(item.name)}, {runtime_label(item)}" for item in benchmark.candidates]
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(axis="y", labelcolor=_INK, length=0)
        axes.invert_yaxis()
        axes.set_title(f"batch {batch_size}, ms per call (log scale)", loc="left", fontsize=10.5, color=_MUTED)
        figure.set_layout_engine("tight")
        return _svg(figure, f"latency distribution at batch {batch_size}", f"distribution{batch_size}")


def latency_by_load(curves: Sequence[tuple[Measured, Sequence[tuple[float, float, float]]]], bound_ms: float) -> str:
    """Draws the latency of candidates (log scale) against the rate at which queries arrive.

    Args:
        curves: Candidates with their points: rate, median and 99th percentile of the latency, by rate.
        bound_ms: Bound on the 99th percentile, drawn as a dashed line; higher latencies end shortly above it.
    """
    top = 4 * bound_ms
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 3.4))
        axes = figure.subplots()
        for item, points in curves:
            rates, medians, tails = zip(*points, strict=True)
            colour = _ROLE_COLOURS[item.role]
            axes.plot(rates, medians, color=colour, linewidth=1.0, zorder=2)
            axes.plot(rates, tails, color=colour, linewidth=1.8, zorder=3)
            axes.scatter(
                rates,
                tails,
                s=46,
                marker=MARKERS[item.runtime],
                c=colour,
                edgecolors=_SURFACE,
                linewidths=1.2,
                zorder=4,
            )
        axes.axhline(bound_ms, color=_MUTED, linewidth=1.2, linestyle=(0, (4, 4)), zorder=1)
        axes.set_yscale("log")
        axes.set_ylim(min(median for _, points in curves for _, median, _ in points) / 1.5, top)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlim(left=0)
        axes.set_title("latency, ms (log scale)", loc="left", fontsize=10.5, color=_MUTED)
        axes.set_xlabel("queries per second")
        axes.tick_params(length=0)
        figure.set_layout_engine("tight")
        return _svg(figure, "latency by load", "load")


def learning_curves(name: str, role: Role, metric: str, training: dict[str, Any]) -> str:
    """Draws the training loss and, below it, the validation metric by step, with a mark at the best step.

    Args:
        name: The candidate's name.
        role: The candidate's role, for the colour.
        metric: Primary metric of the data.
        training: `TrainingResult`, as a summary's facts have it.
    """
    loss = _thinned([(point["step"], point["loss"]) for point in training["history"] if point.get("loss") is not None])
    key = f"eval_{metric}"
    scores = [(point["step"], point[key]) for point in training["history"] if point.get(key) is not None]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 3.6))
        above, below = figure.subplots(2, 1, sharex=True)
        above.plot(*zip(*loss, strict=True), color=_ROLE_COLOURS[role], linewidth=1.6)
        above.set_title(f"{display_name(name)}: training loss", loc="left", fontsize=10.5, color=_MUTED)
        above.yaxis.set_major_locator(MaxNLocator(nbins=4))
        above.tick_params(length=0)
        below.plot(*zip(*scores, strict=True), color=_ROLE_COLOURS[role], linewidth=1.6, marker="o", markersize=5)
        _metric_axis(below, [score for _, score in scores] or [0.0], metric)
        below.set_title(f"validation {metric_label(metric)}; hollow: best", loc="left", fontsize=10.5, color=_MUTED)
        for step, score in [point for point in scores if point[0] == training["best_step"]]:
            below.scatter(step, score, s=70, c=_SURFACE, edgecolors=_ROLE_COLOURS[role], linewidths=1.8, zorder=4)
        below.set_xlabel("step")
        figure.set_layout_engine("tight")
        return _svg(figure, f"learning curves of {display_name(name)}", f"curves-{name}")


def sparsity_by_layer(name: str, fractions: Sequence[float]) -> str:
    """Draws the fraction of zeros in each layer, in the model's order."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 2.4))
        axes = figure.subplots()
        axes.bar(
            range(1, len(fractions) + 1), [100 * fraction for fraction in fractions], color=_ROLE_COLOURS["sparse"]
        )
        axes.set_ylim(0, 100)
        axes.set_xlim(0.3, len(fractions) + 0.7)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=False, axis="x")
        axes.tick_params(length=0)
        axes.set_title(f"{display_name(name)}: zeros, %", loc="left", fontsize=10.5, color=_MUTED)
        axes.set_xlabel("layer, in the order of the table below")
        figure.set_layout_engine("tight")
        return _svg(figure, f"sparsity by layer of {display_name(name)}", f"sparsity-{name}")


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns at most `_MOST_POINTS` points, as means of neighbours."""
    width = -(-len(points) // _MOST_POINTS)
    groups = [points[start : start + width] for start in range(0, len(points), max(1, width))]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _bars(axes: Axes, shown: Sequence[Measured], size: int) -> None:
    values = [item.batches[size].samples_per_s for item in shown]
    axes.barh(range(len(shown)), values, height=0.66, color=[_ROLE_COLOURS[item.role] for item in shown])
    for index, value in enumerate(values):
        axes.annotate(f"{value:,.0f}", (value, index), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(shown)), [f"{display_name(item.name)}, {runtime_label(item)}" for item in shown])
    axes.tick_params(axis="y", labelcolor=_INK, length=0)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(NullLocator())
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)
    # Room for the longest figure beside the longest bar, when labels are long, too.
    axes.set_xlim(0, max(values) * 1.4)
    axes.set_title(f"sentences/s, batch {size}", loc="left", fontsize=10.5, color=_MUTED)


def _scatter(
    points: Sequence[Point],
    benchmark: Benchmark,
    hollow: Sequence[Point] = (),
    named: Sequence[Point] = (),
) -> tuple[Figure, Axes]:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 3.6))
        axes = figure.subplots()
        for (x, y, item), (light, _, _) in zip(points, hollow, strict=False):
            axes.plot([light, x], [y, y], color=_ROLE_COLOURS[item.role], linewidth=1.2, zorder=2)
        for x, y, item in hollow:
            axes.scatter(
                x, y, s=46, marker="o", c=_SURFACE, edgecolors=_ROLE_COLOURS[item.role], linewidths=1.6, zorder=3
            )
        for x, y, item in points:
            _draw_certainty(axes, x, item)
            marker = "o" if hollow else MARKERS[item.runtime]
            axes.scatter(
                x, y, s=74, marker=marker, c=_ROLE_COLOURS[item.role], edgecolors=_SURFACE, linewidths=1.4, zorder=4
            )
        everything = [*points, *hollow]
        _log_axis(axes, [x for x, _, _ in everything])
        shown = [*[y for _, y, _ in everything], *(end for _, _, item in points for end in _certainty(item))]
        _metric_axis(axes, shown, points[0][2].metric_name)
        axes.set_title(_score_title(benchmark), loc="left", fontsize=10.5, color=_MUTED)
        figure.set_layout_engine("tight")
        figure.draw_without_rendering()
        _label(axes, named or points, everything)
        return figure, axes


def _certainty(item: Measured) -> list[float]:
    """Returns the ends of a candidate's interval and its metric on test, as far as they are known."""
    ends = [item.interval.low, item.interval.high] if item.interval else []
    return ends + ([item.test.metric] if item.test else [])


def _draw_certainty(axes: Axes, x: float, item: Measured) -> None:
    colour = _ROLE_COLOURS[item.role]
    if item.interval:
        axes.plot([x, x], [item.interval.low, item.interval.high], color=colour, linewidth=0.8, zorder=1)
    if item.test:
        axes.scatter(x, item.test.metric, s=70, marker="_", c=colour, linewidths=1.4, zorder=2)


def _score_title(benchmark: Benchmark) -> str:
    first = benchmark.candidates[0]
    parts = [f"{metric_label(first.metric_name)} on {benchmark.data['split']}"]
    parts += ["lines: 95 %"] if first.interval else []
    return "; ".join(parts + (["dashes: test"] if first.test else []))


def _log_axis(axes: Axes, values: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 1.5, max(values) * 1.5)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _metric_axis(axes: Axes, values: Sequence[float], name: str) -> None:
    # The range is at least 0.03, so that a single sentence does not look like a large difference.
    middle, half = (max(values) + min(values)) / 2, max(0.015, 0.7 * (max(values) - min(values)))
    axes.set_ylim(middle - half, middle + half)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.set_title(metric_label(name), loc="left", fontsize=10.5, color=_MUTED)
    axes.tick_params(length=0)


def _label(axes: Axes, points: Sequence[Point], occupied: Iterable[Point]) -> None:
    """Labels each model once, at its leftmost point, where the label covers neither a point nor another label."""
    corners = [axes.transData.transform((x, y)) for x, y, _ in occupied]
    taken = [Bbox.from_extents(x - 5, y - 5, x + 5, y + 5) for x, y in corners]
    frame = axes.get_window_extent()
    for name in dict.fromkeys(item.name for _, _, item in points):
        x, y, _ = min((point for point in points if point[2].name == name), key=lambda point: point[0])
        costs = {}
        for position in _LABEL_POSITIONS:
            box = _annotate(axes, name, x, y, position).get_window_extent()
            axes.texts[-1].remove()
            outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
            costs[position] = box.count_overlaps(taken) + 5 * outside
        best = min(costs, key=lambda position: costs[position])
        taken.append(_annotate(axes, name, x, y, best).get_window_extent())


def _annotate(axes: Axes, name: str, x: float, y: float, position: tuple[int, int, str]) -> Annotation:
    right, up, alignment = position
    return axes.annotate(
        display_name(name),
        (x, y),
        xytext=(right, up),
        textcoords="offset points",
        horizontalalignment=alignment,
        color=_INK,
    )


def _svg(figure: Figure, name: str, prefix: str) -> str:
    """Returns the figure as an inline `<svg>` element with unique ids, coloured by CSS variables."""
    text = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": prefix}):
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
