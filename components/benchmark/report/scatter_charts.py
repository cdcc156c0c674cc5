"""Charts of the metric against latency or size, with the interval and the metric on test of each candidate."""

import re
from collections.abc import Iterable, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from compaware.components.benchmark.report.drawing import (
    INK,
    MARKERS,
    MUTED,
    ROLE_COLOURS,
    STYLE,
    SURFACE,
    log_axis,
    metric_axis,
    svg,
)
from compaware.components.benchmark.report.formatting import display_name
from compaware.components.benchmark.results import Benchmark, Measured
from compaware.components.core.evaluation.metrics import metric_label

# A point of a chart: x, y and the candidate.
Point = tuple[float, float, Measured]
# Longer titles are cut at the edge of the chart: they have two lines.
_LONGEST_TITLE = 50
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


def accuracy_against_latency(benchmark: Benchmark, batch_size: int) -> str:
    """Draws the metric of each candidate in each runtime against its median latency (log scale)."""
    points = [(item.batches[batch_size].p50_ms, item.metric, item) for item in benchmark.candidates]
    figure, axes = _scatter(points, benchmark)
    axes.set_xlabel(f"p50 latency at batch {batch_size}, ms (log scale)")
    return svg(figure, f"{metric_label(points[0][2].metric_name)} against latency", "latency")


def accuracy_against_size(benchmark: Benchmark) -> str:
    """Draws the metric of each candidate against its size (log scale); hollow markers show the size after deflate."""
    points, hollow = [], []
    for item in {(item.name, item.size_bytes): item for item in benchmark.candidates}.values():
        points.append((item.size_bytes / 1e6, item.metric, item))
        hollow.append((item.compressed_bytes / 1e6, item.metric, item))
    figure, axes = _scatter(points, benchmark, hollow)
    axes.set_xlabel("size on disk, MB (log scale); hollow: deflated")
    return svg(figure, f"{metric_label(points[0][2].metric_name)} against size", "size")


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
    axes.step([x for x, _ in steps], [y for _, y in steps], where="post", color=MUTED, linewidth=1.4, zorder=2)
    most, least = limits
    if most is not None:
        axes.axvline(most, color=MUTED, linewidth=1.2, linestyle=(0, (4, 4)), zorder=1)
    if least is not None:
        axes.axhline(least, color=MUTED, linewidth=1.2, linestyle=(0, (4, 4)), zorder=1)
    axes.set_xlabel(f"{axis} (log scale)")
    return svg(figure, f"{metric_label(points[0][2].metric_name)} against {axis}", re.sub(r"\W+", "-", axis))


def _scatter(
    points: Sequence[Point],
    benchmark: Benchmark,
    hollow: Sequence[Point] = (),
    named: Sequence[Point] = (),
) -> tuple[Figure, Axes]:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.6))
        axes = figure.subplots()
        for (x, y, item), (light, _, _) in zip(points, hollow, strict=False):
            axes.plot([light, x], [y, y], color=ROLE_COLOURS[item.role], linewidth=1.2, zorder=2)
        for x, y, item in hollow:
            axes.scatter(
                x, y, s=46, marker="o", c=SURFACE, edgecolors=ROLE_COLOURS[item.role], linewidths=1.6, zorder=3
            )
        for x, y, item in points:
            _draw_certainty(axes, x, item)
            marker = "o" if hollow else MARKERS[item.runtime]
            axes.scatter(
                x, y, s=74, marker=marker, c=ROLE_COLOURS[item.role], edgecolors=SURFACE, linewidths=1.4, zorder=4
            )
        everything = [*points, *hollow]
        log_axis(axes, [x for x, _, _ in everything])
        shown = [*[y for _, y, _ in everything], *(end for _, _, item in points for end in _certainty(item))]
        metric_axis(axes, shown, points[0][2].metric_name)
        axes.set_title(_score_title(benchmark), loc="left", fontsize=10.5, color=MUTED)
        figure.set_layout_engine("tight")
        figure.draw_without_rendering()
        _label(axes, named or points, everything)
        return figure, axes


def _certainty(item: Measured) -> list[float]:
    """Returns the ends of a candidate's interval and its metric on test, as far as they are known."""
    ends = [item.interval.low, item.interval.high] if item.interval else []
    return ends + ([item.test.metric] if item.test else [])


def _draw_certainty(axes: Axes, x: float, item: Measured) -> None:
    colour = ROLE_COLOURS[item.role]
    if item.interval:
        axes.plot([x, x], [item.interval.low, item.interval.high], color=colour, linewidth=0.8, zorder=1)
    if item.test:
        axes.scatter(x, item.test.metric, s=70, marker="_", c=colour, linewidths=1.4, zorder=2)


def _score_title(benchmark: Benchmark) -> str:
    first = benchmark.candidates[0]
    parts = [f"{metric_label(first.metric_name)} on {benchmark.data['split']}"]
    parts += ["lines: 95 %"] if first.interval else []
    title = "; ".join(parts + (["dashes: test"] if first.test else []))
    return title if len(title) <= _LONGEST_TITLE else title.replace("; ", "\n", 1)


def _label(axes: Axes, points: Sequence[Point], occupied: Iterable[Point]) -> None:
    """Labels each model once, at its leftmost point, where the label covers neither a point nor another label.

    Of such places it takes the one that covers the fewest lines and dashes.
    """
    taken = [_around(axes, x, [y]) for x, y, _ in occupied]
    thin = [_around(axes, x, ends) for x, _, item in points if (ends := _certainty(item))]
    frame = axes.get_window_extent()
    for name in dict.fromkeys(item.name for _, _, item in points):
        x, y, _ = min((point for point in points if point[2].name == name), key=lambda point: point[0])
        costs = {}
        for position in _LABEL_POSITIONS:
            box = _annotate(axes, name, x, y, position).get_window_extent()
            axes.texts[-1].remove()
            outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
            costs[position] = (box.count_overlaps(taken) + 5 * outside, box.count_overlaps(thin))
        best = min(costs, key=lambda position: costs[position])
        taken.append(_annotate(axes, name, x, y, best).get_window_extent())


def _around(axes: Axes, x: float, ys: Sequence[float]) -> Bbox:
    """Returns the box of a marker, or of a vertical line with its ends, in pixels."""
    (left, low), (_, high) = axes.transData.transform([(x, min(ys)), (x, max(ys))])
    return Bbox.from_extents(left - 5, low - 5, left + 5, high + 5)


def _annotate(axes: Axes, name: str, x: float, y: float, position: tuple[int, int, str]) -> Annotation:
    right, up, alignment = position
    return axes.annotate(
        display_name(name),
        (x, y),
        xytext=(right, up),
        textcoords="offset points",
        horizontalalignment=alignment,
        color=INK,
    )
