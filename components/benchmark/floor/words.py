"""What the report says about floors: sentences and a table."""

import math
from collections.abc import Iterable

from compaware.components.benchmark.report.formatting import display_name, format_size, reported_split
from compaware.components.benchmark.report.tables import Table, score_cells, score_columns
from compaware.components.benchmark.results import Benchmark, Measured
from compaware.components.core.evaluation.criterion import Criterion
from compaware.components.core.evaluation.intervals import describe_difference
from compaware.components.core.evaluation.metrics import REGRESSION_METRICS, metric_label


def floor_sentences(benchmark: Benchmark, reference: Measured) -> list[str]:
    """Returns a sentence for each floor: whether it keeps the metric of a transformer.

    No model is chosen by it, so it uses the figures on test where there are any.
    """
    return [_compare(benchmark, item, reference) for item in benchmark.of("floor")]


def describe_training(benchmark: Benchmark) -> list[str]:
    """Returns the sentences about how floors were trained and what their calls include."""
    if not benchmark.floors:
        return []
    text = (
        "Floors are models without a transformer. They are trained on the labels of train, not on the teacher's; their "
        "regularization is chosen on validation. A call of a floor starts from text, so its time includes tokenization."
    )
    if "static" in benchmark.floors:
        text += (
            " A static embedding is the mean output of the teacher, or without one of the student, for one token "
            "alone, reduced by PCA; only tokens of the training rows have one."
        )
    return [text]


def floor_table(benchmark: Benchmark) -> Iterable[Table]:
    """Returns a table of the floors, if there are any."""
    floors = benchmark.of("floor")
    if not floors:
        return
    size = benchmark.batch_sizes[0]
    rows = []
    for item in floors:
        training = benchmark.floors[item.name]
        figures = [*score_cells(item), f"{item.batches[size].p50_ms:.2f}", format_size(item.size_bytes)]
        trained = [f"{training.rows:,}", f"{training.features:,}"]
        rows.append(
            [display_name(item.name), *figures, *trained, f"{training.regularization_c:g}", f"{training.seconds:.1f}"]
        )
    columns = [*score_columns(benchmark), f"p50 ms, batch {size}", "size", "training rows", "features"]
    yield Table("Floors: without a transformer", ["floor", *columns, "regularization C", "training s"], rows, [])


def _compare(benchmark: Benchmark, item: Measured, reference: Measured) -> str:
    metric, name = metric_label(item.metric_name), _full_name(item)
    transformer = display_name(reference.name)
    if reference.precision == "fp32":
        transformer = f"the FP32 {transformer}"
    split = reported_split(benchmark)
    if math.isnan(item.reported_metric) or math.isnan(reference.reported_metric):
        return f"{name} cannot be compared with {transformer}: the {metric} of one or both is undefined on {split}."
    figures = f"{item.reported_metric:.4f} against {reference.reported_metric:.4f}"
    differences = item.differences.get(reference.id)
    if differences:
        figures += f", {describe_difference(differences.reported, item.metric_name)}"
        worst, best = differences.reported.low, differences.reported.high
    else:
        worst = best = item.reported_metric - reference.reported_metric
    criterion = Criterion.usual(item.metric_name, reference.reported_metric)
    if criterion.passes(criterion.baseline + worst):
        conclusion = "so a transformer is not needed for this data"
        if benchmark.trivial and reference.id in benchmark.trivial.constant:
            conclusion = "which predicts the same for every row"
        elif not _keeps_teacher(benchmark, item):
            conclusion = "but is not known to keep that of the teacher"
        text = f"{name} keeps the {metric} of {transformer}, {conclusion}"
    elif criterion.passes(criterion.baseline + best):
        text = f"{name} may or may not keep the {metric} of {transformer}, and more rows are needed to tell"
    else:
        text = f"{name} does not keep the {metric} of {transformer}"
    return f"{text}: {figures} on {split}."


def _keeps_teacher(benchmark: Benchmark, item: Measured) -> bool:
    """Returns whether a floor surely keeps the metric of the teacher, too; True without one."""
    teacher = benchmark.reference("teacher")
    if teacher is None:
        return True
    differences = item.differences.get(teacher.id)
    worst = differences.reported.low if differences else item.reported_metric - teacher.reported_metric
    criterion = Criterion.usual(item.metric_name, teacher.reported_metric)
    return criterion.passes(criterion.baseline + worst)


def _full_name(item: Measured) -> str:
    kind = "ridge" if item.metric_name in REGRESSION_METRICS else "logistic"
    features = "A static-embedding model" if item.name == "static" else display_name(item.name)
    return f"{features} with {kind} regression"
