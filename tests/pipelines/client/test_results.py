"""The table that `compaware run` and `compaware report` print."""

from compaware.pipelines.client.results import table
from tests.components.benchmark.synthetic import benchmark, family


def test_the_table_has_scores_on_test_where_the_data_has_test_rows() -> None:
    tested = benchmark(family().candidates, test={"teacher": 0.9, "student": 0.85, "int8": 0.8, "sparse": 0.75})
    header, _, first, *_ = table(tested).splitlines()
    assert "accuracy, test" in header and first.split()[:5] == ["teacher", "fp32", "torch", "0.8968", "0.9002"]
    assert "test" not in table(family())
