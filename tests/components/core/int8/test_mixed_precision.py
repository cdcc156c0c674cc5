"""The statistics count the precision in which the runtimes compute."""

from pathlib import Path

import pytest

from compaware.components.core.int8.mixed_precision import count_by_precision
from compaware.components.core.runtimes.export import export_classifier
from compaware.components.core.runtimes.formats import (
    FP32_ONNX_FILE,
    FP32_OPENVINO_FILE,
    ONNX_FILE,
    OPENVINO_FILE,
    RuntimeName,
)
from compaware.components.core.runtimes.predictors import save_fp32_files
from tests.components.core.int8.small_models import ServedModel
from tests.families.models import classifier

RUNTIMES: tuple[RuntimeName, ...] = ("onnxruntime", "openvino")


def counted(served: ServedModel, runtime: RuntimeName) -> dict[str, tuple[int, int]]:
    """Operators of each type: all, and those in INT8."""
    rows = count_by_precision(served.tuned.graph, served.folder, runtime)
    assert all(row["int8"] + row["bf16"] + row["fp32"] == row["total"] for row in rows)
    return {row["op_type"]: (row["total"], row["int8"]) for row in rows}


@pytest.mark.parametrize(("runtime", "int8_tables"), [("onnxruntime", 1), ("openvino", 0)])
def test_tables_that_a_runtime_turns_into_fp32_are_not_counted_as_int8(
    served: ServedModel, runtime: RuntimeName, int8_tables: int
) -> None:
    # Two layers of six linears, pooler and head; three embeddings; a norm after the embeddings and two a layer.
    assert counted(served, runtime) == {
        "Embedding": (3, int8_tables),
        "Linear": (14, 14),
        "Attention": (2, 0),
        "LayerNorm": (5, 0),
        "GELU": (2, 0),
        "Tanh": (1, 0),
    }


def test_files_that_compute_in_fp32_have_nothing_in_int8(served: ServedModel, tmp_path: Path) -> None:
    save_fp32_files(served.model, tmp_path)
    (tmp_path / FP32_ONNX_FILE).rename(tmp_path / ONNX_FILE)
    for suffix in (".xml", ".bin"):
        (tmp_path / FP32_OPENVINO_FILE).with_suffix(suffix).rename((tmp_path / OPENVINO_FILE).with_suffix(suffix))
    graph = export_classifier(served.model)
    for runtime in RUNTIMES:
        rows = count_by_precision(graph, tmp_path, runtime)
        assert [row["fp32"] for row in rows] == [row["total"] for row in rows] == [3, 14, 2, 5, 2, 1], runtime


@pytest.mark.parametrize(
    ("family", "kinds"),
    [
        ("qwen2", {"Linear": 15, "RMSNorm": 5, "SiLU": 2}),
        ("gpt2", {"Linear": 9, "LayerNorm": 5, "GELU": 2}),
        ("mpnet", {"Linear": 14, "MatMul": 4, "LayerNorm": 5, "Softmax": 2, "GELU": 2}),
    ],
)
def test_modules_of_several_operators_are_recognized(served: ServedModel, family: str, kinds: dict[str, int]) -> None:
    rows = count_by_precision(export_classifier(classifier(family)), served.folder, "onnxruntime")
    found = {row["op_type"]: row["total"] for row in rows if row["op_type"] not in ("Embedding", "Attention", "Tanh")}
    assert found == kinds
