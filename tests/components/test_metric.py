"""Every choice and every report follows the metric of the data, whichever it is."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from transformers import EvalPrediction

import compaware.components
import compaware.pipelines
from compaware.components.benchmark.report.render import render_html, render_markdown
from compaware.components.benchmark.results import Benchmark
from compaware.components.core.evaluation.criterion import Criterion
from compaware.components.core.evaluation.metrics import METRIC_NAMES, compute_metrics, metric_label
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.training.arguments import build_arguments
from compaware.components.core.training.trainer import _metrics_of
from compaware.components.sweep_benchmark.judge import judge
from compaware.components.sweep_benchmark.pareto import Constraint
from compaware.components.sweep_benchmark.sweep_report import render
from compaware.components.sweep_benchmark.sweep_results import Sweep
from compaware.components.sweep_benchmark.sweep_sentences import headline, sentences
from tests.components.benchmark.synthetic import benchmark, family, measured
from tests.components.sweep_benchmark.test_judge import member

# Modules with formulas and defaults. All others take the metric from the data.
NAMING = {
    "components/core/data/tasks.py",
    "components/core/evaluation/intervals.py",
    "components/core/evaluation/metrics.py",
    "components/core/evaluation/row_weights.py",
    "components/data_prep/config.py",
}


def test_no_other_module_takes_accuracy_for_the_metric() -> None:
    names = {"accuracy", *(f"eval_{name}" for name in METRIC_NAMES)}
    naming = set()
    for package in (compaware.components, compaware.pipelines):
        root = Path(package.__path__[0])
        for file in root.rglob("*.py"):
            nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if any(isinstance(node, ast.Constant) and node.value in names for node in nodes):
                naming.add(file.relative_to(root.parent).as_posix())
    # The quality room describes models by shares of rows, and chooses none.
    assert {name for name in naming if not name.startswith("components/benchmark/quality/")} <= NAMING


def outputs(metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits and labels for which the metric is neither perfect nor like another one."""
    generator = np.random.default_rng(0)
    if metric in ("pearson", "spearman"):
        labels = generator.normal(size=60)
        return (np.exp(labels) + generator.normal(size=60))[:, None], labels
    if metric == "f1_micro":
        labels = (generator.random((60, 3)) < (0.2, 0.5, 0.7)).astype(np.int8)
        return labels - 0.5 + generator.normal(size=(60, 3)), labels
    labels = generator.choice(2, 60, p=(0.7, 0.3))
    return np.eye(2)[labels] + generator.normal(size=(60, 2)), labels


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_the_checkpoint_is_chosen_by_the_metric(metric: str, tmp_path: Path) -> None:
    logits, labels = outputs(metric)
    arguments = build_arguments(TrainingOptions(), tmp_path, metric, "fp32")
    scores = _metrics_of(metric)(EvalPrediction(logits, labels))
    assert arguments.metric_for_best_model == f"eval_{metric}" and arguments.greater_is_better
    assert scores[metric] == compute_metrics(metric, logits, labels)[metric]


def by_metric(found: Benchmark, metric: str) -> Benchmark:
    """Returns a made-up benchmark with another metric."""
    for item in found.candidates:
        item.metric_name = metric
    criteria = {"int8": Criterion.create(metric, 0.896, 0.005)}
    return benchmark(found.candidates, criteria=criteria)


def sweep_by_metric(metric: str) -> tuple[Benchmark, Sweep]:
    """Returns a made-up sweep with another metric."""
    candidates = [
        measured("teacher", "torch", role="teacher", metric=0.90, milliseconds={1: 20.0}),
        measured("two_t2", "openvino", role="student", metric=0.84, milliseconds={1: 3.0}),
    ]
    figures = by_metric(benchmark(candidates), metric)
    return figures, judge(figures, [member("two_t2")], Constraint(min_accuracy=0.8))


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_sentences_name_the_metric(metric: str) -> None:
    figures, sweep = sweep_by_metric(metric)
    for text in (*by_metric(family(), metric).words, headline(figures, sweep), *sentences(figures, sweep)):
        assert not _names_another(text, metric), text
    assert metric_label(metric) in headline(figures, sweep)


def test_tables_and_charts_name_the_metric() -> None:
    metric = "matthews_correlation"
    (figures, sweep), found = sweep_by_metric(metric), by_metric(family(), metric)
    figures.words = sentences(figures, sweep)
    for text in (render_html(found, {}), render_markdown(found, {}), *render(figures, sweep, "Serve it")):
        assert metric_label(metric) in text
        assert not _names_another(text, metric)


def _names_another(text: str, metric: str) -> bool:
    """Whether a figure is called accuracy, or a chart, although the metric is another one."""
    figure = re.search(r"accuracy:?( of)?\W{0,3}\d|accuracy (and|against) (latency|size)", text, re.IGNORECASE)
    return metric != "accuracy" and figure is not None


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_the_criterion_names_the_metric(metric: str) -> None:
    criterion = Criterion.create(metric, 0.9, 0.01)
    assert criterion.passes(0.895) and not criterion.passes(0.88)
    assert criterion.describe(0.88).startswith((metric, metric_label(metric)))
