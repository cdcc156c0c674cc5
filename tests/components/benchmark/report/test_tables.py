"""Tables show only what the data has."""

import numpy as np

from compaware.components.benchmark.quality.disagreements import drift
from compaware.components.benchmark.quality.results import Quality
from compaware.components.benchmark.quality.tables import drift_table
from compaware.components.benchmark.report.tables import difference_table
from tests.components.benchmark.synthetic import benchmark, family


def test_differences_of_a_correlation_have_no_test_of_equal_accuracy_and_no_points():
    found = benchmark(family().candidates, test={})
    [accuracy] = difference_table(found)
    assert accuracy.columns[3:] == ["points, validation", "McNemar p"]
    for item in found.candidates:
        item.metric_name = "pearson"
        for differences in item.differences.values():
            differences.validation = differences.validation.model_copy(update={"p_value": None, "value": -0.0312})
    [pearson] = difference_table(found)
    assert pearson.columns[3:] == ["change, validation"]
    assert pearson.rows[0][3].startswith("-0.031 (") and {len(row) for row in pearson.rows} == {4}


def test_the_drift_of_numbers_has_no_decisions_and_no_classes():
    values = np.array([[0.0], [1.0]])
    made = drift("test", values + 0.5, values, [], multi_label=False)
    table = drift_table(Quality(split="test", rows=2, forms={}, served="", drift=[made]))
    assert table.columns == ["split", "rows", "mean difference", "largest difference"]
    same = drift("test", np.eye(2), np.eye(2), ["no", "yes"], multi_label=False)
    table = drift_table(Quality(split="test", rows=2, forms={}, served="", drift=[same, same]))
    assert table.columns[2] == "same decision" and "largest shift of a class" not in table.columns
