"""The statistics table counts what the graph really computes."""

from compaware.components.core.int8.export import export_classifier
from compaware.components.core.int8.statistics import markdown_table, mixed_precision
from tests.components.core.int8.small_models import ServedModel


def test_linear_layers_and_embeddings_are_int8_and_the_rest_is_not(served: ServedModel) -> None:
    rows = {row["op_type"]: row for row in mixed_precision(served.tuned.graph)}
    # Two layers of six linears, pooler and head; three embeddings; a norm after the embeddings and two a layer.
    assert rows["Linear"] == {"op_type": "Linear", "total": 14, "int8": 14, "bf16": 0, "fp32": 0}
    assert rows["Embedding"] == {"op_type": "Embedding", "total": 3, "int8": 3, "bf16": 0, "fp32": 0}
    assert rows["LayerNorm"] == {"op_type": "LayerNorm", "total": 5, "int8": 0, "bf16": 0, "fp32": 5}
    assert rows["GELU"]["total"] == 2


def test_an_fp32_graph_has_nothing_in_int8(served: ServedModel) -> None:
    assert all(
        row["int8"] == 0 and row["fp32"] == row["total"] for row in mixed_precision(export_classifier(served.model))
    )


def test_the_table_reads_as_plain_text_and_as_markdown() -> None:
    rows = [{"name": "a", "count": 3, "share": 0.5}, {"name": "long name", "count": 12, "share": None}]
    assert markdown_table(rows, ("name", "count", "share"), ("Name", "Count", "Share")).splitlines() == [
        "| Name      | Count |  Share |",
        "|-----------|------:|-------:|",
        "| a         |     3 | 0.5000 |",
        "| long name |    12 |      - |",
    ]
