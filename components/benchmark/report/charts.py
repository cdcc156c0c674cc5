"""Charts of the report that have one panel a subject: throughput, latency, training, versions."""

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from compaware.components.benchmark.config import Role
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
from compaware.components.benchmark.report.formatting import display_name, runtime_label
from compaware.components.benchmark.results import Benchmark, Measured, fastest
from compaware.components.core.evaluation.metrics import metric_label

_MOST_POINTS = 150


def throughput_by_batch(benchmark: Benchmark) -> str:
    """Draws the sentences per second at each batch size, of the reference and of each model's fastest accurate form.

    Floors are left out: their bars are so long that the others could not be compared.
    """
    reference = benchmark.reference("teacher")
    names = list(dict.fromkeys(item.name for item in benchmark.models))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 0.4 + len(benchmark.batch_sizes) * (0.5 + 0.35 * (len(names) + 1))))
        panels = figure.subplots(len(benchmark.batch_sizes), 1, squeeze=False)[:, 0]
        for axes, size in zip(panels, benchmark.batch_sizes, strict=True):
            best = [fastest(benchmark.accurate_forms(name), size) for name in names]
            shown = ([reference] if reference and reference not in best else []) + best
            _bars(axes, shown, size)
        figure.set_layout_engine("tight", h_pad=1.4)
        return svg(figure, "throughput by batch size", "throughput")


def metric_by_version(points: Sequence[tuple[str, float, bool]], metric_name: str) -> str:
    """Draws the metric of each version: published ones are joined by a line, refused ones are hollow.

    Args:
        points: ISO time, metric, and whether the version was published.
        metric_name: Name of the metric.
    """
    published = [(index, value) for index, (_, value, is_published) in enumerate(points) if is_published]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 3))
        axes = figure.subplots()
        axes.plot(*zip(*published, strict=True), color=ROLE_COLOURS["int8"], linewidth=1.6, zorder=2)
        for index, (_, value, is_published) in enumerate(points):
            colours = (ROLE_COLOURS["int8"], SURFACE) if is_published else (SURFACE, MUTED)
            axes.scatter(index, value, s=64, c=colours[0], edgecolors=colours[1], linewidths=1.4, zorder=3)
        metric_axis(
            axes, [value for _, value, _ in points], f"{metric_label(metric_name)} on validation; hollow: refused"
        )
        axes.set_xlim(-0.5, len(points) - 0.5)
        every = -(-len(points) // 8)
        axes.set_xticks(range(0, len(points), every), [time[5:16].replace("T", " ") for time, _, _ in points[::every]])
        figure.set_layout_engine("tight")
        return svg(figure, f"{metric_label(metric_name)} by version", "history")


def latency_distribution(benchmark: Benchmark, batch_size: int) -> str:
    """Draws the latencies of each candidate (log scale): a thin middle 90 %, a thick middle 50 %, and the median."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 0.7 + 0.3 * len(benchmark.candidates)))
        axes = figure.subplots()
        for index, item in enumerate(benchmark.candidates):
            p5, p25, p50, p75, p95 = item.batches[batch_size].quantiles_ms
            colour = ROLE_COLOURS[item.role]
            axes.plot([p5, p95], [index, index], color=colour, linewidth=1.4)
            axes.plot([p25, p75], [index, index], color=colour, linewidth=8, solid_capstyle="butt")
            axes.scatter(p50, index, s=24, c=SURFACE, edgecolors=colour, linewidths=1.2, zorder=4)
        axes.margins(y=0.1)
        shown = [value for item in benchmark.candidates for value in item.batches[batch_size].quantiles_ms]
        log_axis(axes, shown, most_labels=6)
        names = [f"{display_name(item.name)}, {runtime_label(item)}" for item in benchmark.candidates]
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(axis="y", labelcolor=INK, length=0)
        axes.invert_yaxis()
        axes.set_title(f"batch {batch_size}, ms per call (log scale)", loc="left", fontsize=10.5, color=MUTED)
        figure.set_layout_engine("tight")
        return svg(figure, f"latency distribution at batch {batch_size}", f"distribution{batch_size}")


def latency_by_load(curves: Sequence[tuple[Measured, Sequence[tuple[float, float, float]]]], bound_ms: float) -> str:
    """Draws the latency of candidates (log scale) against the rate at which queries arrive.

    Args:
        curves: Candidates with their points: rate, median and 99th percentile of the latency, by rate.
        bound_ms: Bound on the 99th percentile, drawn as a dashed line; higher latencies end shortly above it.
    """
    top = 4 * bound_ms
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.4))
        axes = figure.subplots()
        for item, points in curves:
            rates, medians, tails = zip(*points, strict=True)
            colour = ROLE_COLOURS[item.role]
            axes.plot(rates, medians, color=colour, linewidth=1.0, zorder=2)
            axes.plot(rates, tails, color=colour, linewidth=1.8, zorder=3)
            axes.scatter(
                rates,
                tails,
                s=46,
                marker=MARKERS[item.runtime],
                c=colour,
                edgecolors=SURFACE,
                linewidths=1.2,
                zorder=4,
            )
        axes.axhline(bound_ms, color=MUTED, linewidth=1.2, linestyle=(0, (4, 4)), zorder=1)
        axes.set_yscale("log")
        axes.set_ylim(min(median for _, points in curves for _, median, _ in points) / 1.5, top)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlim(left=0)
        axes.set_title("latency, ms (log scale)", loc="left", fontsize=10.5, color=MUTED)
        axes.set_xlabel("queries per second")
        axes.tick_params(length=0)
        figure.set_layout_engine("tight")
        return svg(figure, "latency by load", "load")


def reliability(curves: Sequence[tuple[Measured, Sequence[tuple[float, float, int]]]]) -> str:
    """Draws how often decisions are right against their probability; calibrated ones lie on the dashed diagonal.

    Args:
        curves: Candidates with their bins: mean probability, frequency and number of rows.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.6))
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 4)), zorder=1)
        for item, bins in curves:
            means, frequencies, rows = zip(*bins, strict=True)
            colour = ROLE_COLOURS[item.role]
            areas = [12 + 120 * count / sum(rows) for count in rows]
            axes.plot(means, frequencies, color=colour, linewidth=1.2, zorder=2)
            axes.scatter(means, frequencies, s=areas, c=colour, edgecolors=SURFACE, linewidths=0.8, zorder=3)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.05, 1.05)
        axes.set_title("frequency", loc="left", fontsize=10.5, color=MUTED)
        axes.set_xlabel("probability")
        axes.tick_params(length=0)
        figure.set_layout_engine("tight")
        return svg(figure, "frequency against probability", "reliability")


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
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.6))
        above, below = figure.subplots(2, 1, sharex=True)
        above.plot(*zip(*loss, strict=True), color=ROLE_COLOURS[role], linewidth=1.6)
        above.set_title(f"{display_name(name)}: training loss", loc="left", fontsize=10.5, color=MUTED)
        above.yaxis.set_major_locator(MaxNLocator(nbins=4))
        above.tick_params(length=0)
        below.plot(*zip(*scores, strict=True), color=ROLE_COLOURS[role], linewidth=1.6, marker="o", markersize=5)
        metric_axis(below, [score for _, score in scores] or [0.0], metric)
        below.set_title(f"validation {metric_label(metric)}; hollow: best", loc="left", fontsize=10.5, color=MUTED)
        for step, score in [point for point in scores if point[0] == training["best_step"]]:
            below.scatter(step, score, s=70, c=SURFACE, edgecolors=ROLE_COLOURS[role], linewidths=1.8, zorder=4)
        below.set_xlabel("step")
        figure.set_layout_engine("tight")
        return svg(figure, f"learning curves of {display_name(name)}", f"curves-{name}")


def sparsity_by_layer(name: str, fractions: Sequence[float]) -> str:
    """Draws the fraction of zeros in each layer, in the model's order."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 2.4))
        axes = figure.subplots()
        axes.bar(range(1, len(fractions) + 1), [100 * fraction for fraction in fractions], color=ROLE_COLOURS["sparse"])
        axes.set_ylim(0, 100)
        axes.set_xlim(0.3, len(fractions) + 0.7)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=False, axis="x")
        axes.tick_params(length=0)
        axes.set_title(f"{display_name(name)}: zeros, %", loc="left", fontsize=10.5, color=MUTED)
        axes.set_xlabel("layer, in the order of the table below")
        figure.set_layout_engine("tight")
        return svg(figure, f"sparsity by layer of {display_name(name)}", f"sparsity-{name}")


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns at most `_MOST_POINTS` points, as means of neighbours."""
    width = -(-len(points) // _MOST_POINTS)
    groups = [points[start : start + width] for start in range(0, len(points), max(1, width))]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _bars(axes: Axes, shown: Sequence[Measured], size: int) -> None:
    values = [item.batches[size].samples_per_s for item in shown]
    axes.barh(range(len(shown)), values, height=0.66, color=[ROLE_COLOURS[item.role] for item in shown])
    for index, value in enumerate(values):
        axes.annotate(f"{value:,.0f}", (value, index), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(shown)), [f"{display_name(item.name)}, {runtime_label(item)}" for item in shown])
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(NullLocator())
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)
    # Room for the longest figure beside the longest bar, when labels are long, too.
    axes.set_xlim(0, max(values) * 1.4)
    axes.set_title(f"sentences/s, batch {size}", loc="left", fontsize=10.5, color=MUTED)
