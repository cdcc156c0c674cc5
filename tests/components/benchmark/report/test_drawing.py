"""Titles and labels of charts fit."""

import itertools

from matplotlib.figure import Figure

from compaware.components.benchmark.report import scatter_charts
from compaware.components.benchmark.report.drawing import log_axis
from tests.components.benchmark.synthetic import benchmark, family

TEST = {"teacher": 0.90, "student": 0.88, "int8": 0.879, "sparse": 0.86}


def test_the_title_of_a_metric_with_a_long_name_is_not_cut():
    found = benchmark(family().candidates, test=TEST)
    for item in found.candidates:
        item.metric_name = "matthews_correlation"
    figure, axes = scatter_charts._scatter([(item.size_bytes, item.metric, item) for item in found.candidates], found)
    title = axes._left_title
    assert "Matthews correlation on validation" in title.get_text() and "dashes: test" in title.get_text()
    assert title.get_window_extent().x1 <= figure.bbox.x1 and title.get_window_extent().y1 <= figure.bbox.y1


def test_the_labels_of_a_short_axis_over_many_powers_of_ten_do_not_overlap():
    figure = Figure(figsize=(4.6, 3), layout="tight")
    axes = figure.subplots()
    axes.set_yticks([0], ["student, openvino with BF16"])
    log_axis(axes, [0.12, 80.0], most_labels=6)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    assert len(boxes) >= 3
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
