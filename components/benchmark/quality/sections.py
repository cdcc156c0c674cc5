"""Sections of the report about the predictions."""

from collections.abc import Iterator

from markupsafe import Markup

from compaware.components.benchmark.quality.results import Quality
from compaware.components.benchmark.quality.tables import (
    calibration_table,
    class_table,
    disagreement_table,
    drift_table,
    slice_table,
)
from compaware.components.benchmark.report import charts
from compaware.components.benchmark.report.formatting import capitalized, display_name, name_and_runtime
from compaware.components.benchmark.report.sections import Section
from compaware.components.benchmark.results import Benchmark
from compaware.components.core.data.dataset import TEST
from compaware.components.core.evaluation.criterion import CHOSEN_ON_THESE_ROWS

_RELIABILITY = (
    "The chart has a point for each bin of probabilities, larger for more rows. A point below the dashed line is a bin "
    "in which the model is too sure. Temperatures of config.json are applied."
)


def quality_sections(benchmark: Benchmark) -> Iterator[Section]:
    """Yields the sections for which there are figures; none for a file that was written without them."""
    quality = benchmark.quality
    if quality is None:
        return
    chosen = "" if quality.split == TEST else f" ({CHOSEN_ON_THESE_ROWS})"
    rows = f"{quality.rows:,} {quality.split} rows{chosen}"
    served = name_and_runtime(benchmark.by_id(quality.served))
    if quality.classes:
        text = f"Precision and recall of {served}, and F1 of one form of each model, on {rows}."
        table = class_table(benchmark, quality)
        yield Section(table.name, [text], tables=[table])
    text = f"{capitalized(served)} on {rows}, by quartile of the length and by the data's slice columns."
    yield Section("By slice", [text], tables=[slice_table(benchmark, quality)])
    if quality.calibration:
        text = (
            f"How far probabilities are from frequencies, on {rows}. ECE is the mean distance of the two. Lower is "
            "better for all three errors. A second row of a model gives them at the temperature in its config.json."
        )
        curves = [
            (benchmark.by_id(quality.forms[name]), item.reliability) for name, item in quality.calibration.items()
        ]
        curves = [curve for curve in curves if curve[1]]
        notes = [_RELIABILITY] if curves else []
        drawings = [Markup(charts.reliability(curves))] if curves else []
        yield Section("Calibration", [text, *notes], drawings, [calibration_table(benchmark, quality)])
    if quality.drift:
        yield _int8_section(benchmark, quality)


def _int8_section(benchmark: Benchmark, quality: Quality) -> Section:
    int8 = benchmark.by_id(quality.int8 or "")
    reference = benchmark.by_id(quality.reference or "")
    of = "probability" if quality.classes else "value"
    notes = [
        f"{capitalized(name_and_runtime(int8))} against the FP32 {display_name(reference.name)}. A difference is the "
        f"largest absolute difference of a {of} in a row."
    ]
    lists = [disagreement_table(benchmark, quality)] if quality.disagreements else []
    return Section("INT8 against FP32", notes, tables=[drift_table(quality)], page_tables=lists)
