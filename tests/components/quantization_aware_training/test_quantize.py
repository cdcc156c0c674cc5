"""The component reports the scores of its public files, in every mode and for every kind of task."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.evaluation.evaluate import evaluate_folder
from compaware.components.core.runtimes.predictors import int8_runtime
from tests.components.quantization_aware_training.conftest import Run, quantize, trained_model, with_outliers
from tests.tiny import make_dataset, make_model, turn_head

# Uses a tokenizer and OpenVINO alone, as anybody would who is given the folder.
SERVE = """
import json, sys
import numpy, openvino, pyarrow.parquet
from transformers import AutoTokenizer
folder, data = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = openvino.Core().compile_model(folder + "/openvino_model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
rows = pyarrow.parquet.read_table(data + "/validation-00000-of-00001.parquet").to_pydict()
answers = []
for text in rows["text"]:
    inputs = tokenizer(text, truncation=True, max_length=32, return_tensors="np")
    answers.append(int(model(dict(inputs))["logits"].argmax()))
print(json.dumps({
    "accuracy": float(numpy.mean(numpy.array(answers) == rows["label"])),
    "names": json.load(open(folder + "/config.json"))["id2label"],
    "ours": any(name.startswith("compaware") for name in sys.modules),
}))
"""


def zeros_are_kept(mask: np.ndarray, candidates: list[np.ndarray]) -> bool:
    """Whether one of the INT8 matrices, as it is or transposed, is zero wherever the mask is."""
    both = [matrix for item in candidates for matrix in (item, item.T) if matrix.shape == mask.shape]
    return any(not matrix[mask].any() and matrix[~mask].any() for matrix in both)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_reported_scores_are_those_of_the_files(sparse_run: Run, runtime: str) -> None:
    found = evaluate_folder(
        sparse_run.folder, sparse_run.dataset.path, runtime=runtime, precision="int8", max_length_tokens=32
    )
    metrics = sparse_run.summary.metrics
    assert metrics[f"int8_{runtime}_accuracy"] == found.metrics["accuracy"]
    assert metrics[f"{runtime}_agreement"] >= 0.98
    if runtime == int8_runtime()[0]:
        assert metrics["int8_accuracy"] == found.metrics["accuracy"]


def test_the_folder_is_served_without_our_code(sparse_run: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVE, str(sparse_run.folder), str(sparse_run.dataset.path)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    served = json.loads(result.stdout.splitlines()[-1])
    assert served["accuracy"] == pytest.approx(sparse_run.summary.metrics["int8_openvino_accuracy"], abs=0.02)
    assert list(served["names"].values()) == ["negative", "positive"]
    assert served["ours"] is False


def test_the_int8_model_keeps_its_accuracy_and_the_summary_reports_it(sparse_run: Run) -> None:
    summary = Summary.load(sparse_run.folder)
    criterion, metrics = summary.facts["criterion"], summary.metrics
    assert metrics["baseline_accuracy"] > 0.9
    assert criterion["baseline"] == metrics["baseline_accuracy"]
    assert criterion["measured"] == metrics["int8_accuracy"]
    loss = metrics["baseline_accuracy"] - metrics["int8_accuracy"]
    assert criterion["passed"] == (metrics["criterion_passed"] == 1) == (loss <= criterion["allowed_loss"] + 1e-9)
    assert [row["candidate"] for row in summary.facts["tune_results"]] == ["Baseline FP32", *["PTQ"] * 2, *["QAT"] * 2]
    rows = {row["op_type"]: row for row in summary.facts["mixed_precision"]}
    assert rows["Linear"]["int8"] == rows["Linear"]["total"] == 14
    # So small tables are turned into FP32 when they are loaded.
    assert rows["Embedding"]["fp32"] == rows["Embedding"]["total"] == 3
    assert "| Linear" in summary.facts["statistics_markdown"]


def test_no_zero_of_a_sparse_model_is_lost_in_either_file(sparse_run: Run) -> None:
    model = onnx.load(sparse_run.folder / "model_quantized.onnx")
    matrices = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer if len(tensor.dims) == 2]
    in_onnx = [matrix for matrix in matrices if matrix.dtype == np.int8]
    operators = openvino.Core().read_model(sparse_run.folder / "openvino_model.xml").get_ops()
    constants = [operator for operator in operators if operator.get_type_name() == "Constant"]
    in_openvino = [c.data for c in constants if c.get_element_type() == openvino.Type.i8 and c.data.ndim == 2]
    sparse = {
        name: weight == 0
        for name, weight in load_file(sparse_run.model / "model.safetensors").items()
        if weight.ndim == 2 and 0.4 < (weight == 0).mean() < 0.6
    }
    assert len(sparse) == 12
    for mask in sparse.values():
        assert zeros_are_kept(mask, in_onnx)
        assert zeros_are_kept(mask, in_openvino)


def test_auto_trains_if_ptq_loses_too_much_and_reports_a_missed_criterion(tmp_path: Path) -> None:
    model, data = trained_model(tmp_path, "similarity", layers=1)
    hard = with_outliers(model, tmp_path / "hard")
    # Too little training to mend much.
    few = {"epochs": 0.1, "learning_rate": 1e-7, "batch_size": 16}
    run = quantize(tmp_path / "out", hard, data, mode="auto", max_relative_metric_loss=0.005, **few)
    criterion, metrics = run.summary.facts["criterion"], run.summary.metrics
    assert metrics["baseline_pearson"] > 0.5
    assert criterion["kind"] == "relative"
    assert criterion["allowed_loss"] == pytest.approx(0.005 * metrics["baseline_pearson"])
    rows = [row for row in run.summary.facts["tune_results"] if row["runtime"] == criterion["runtime"]]
    assert [row["candidate"] for row in rows] == ["PTQ", "QAT"]
    difference = criterion["difference"]
    assert difference["value"] == pytest.approx(criterion["measured"] - criterion["baseline"])
    # INT8 that predicts a constant has no known correlation, so the upper end may be anything.
    assert difference["low"] < difference["value"] < difference["high"]
    assert metrics["int8_pearson"] == max(row["metric"] for row in rows)
    assert metrics["trained"] == 1
    assert criterion["passed"] is False and metrics["criterion_passed"] == 0
    assert run.summary.facts["training"]["steps"] > 0
    found = evaluate_folder(run.folder, data.path, runtime="onnxruntime", precision="int8", max_length_tokens=32)
    assert found.metrics["pearson"] == metrics["int8_onnxruntime_pearson"]


@pytest.mark.parametrize("names", [["LABEL_0", "LABEL_1"], ["negative", "positive"]])
def test_a_model_with_labels_in_another_order_is_rejected(sparse_run: Run, tmp_path: Path, names: list[str]) -> None:
    model = turn_head(sparse_run.model, tmp_path / "model", names)
    right = 'with id2label={"0": "positive", "1": "negative"} in its config.json'
    with pytest.raises(UserError, match=re.escape(right)):
        quantize(tmp_path / "out", model, sparse_run.dataset)


def test_a_model_for_other_labels_is_refused_at_once(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 8, 8)
    other = make_dataset(tmp_path / "other", 9, 9, kind="three_class")
    model = make_model(tmp_path / "model", other)
    with pytest.raises(UserError, match="the model has 3 outputs, but the data has 2"):
        quantize(tmp_path / "out", model, data)
