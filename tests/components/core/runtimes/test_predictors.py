"""Every runtime has the model's logits, and reports in one line what it cannot run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from compaware.components.core.base import cpu
from compaware.components.core.base.errors import UserError
from compaware.components.core.models.load import load_classifier
from compaware.components.core.runtimes.formats import RuntimeName
from compaware.components.core.runtimes.predictors import available, convert_fp32, int8_runtime, open_runtime
from compaware.components.core.runtimes.streams import open_streams
from tests.tiny import make_dataset, make_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runtimes")
    return make_model(path / "model", make_dataset(path / "data"))


def inputs(rows: int, tokens: int) -> dict[str, np.ndarray]:
    ids = np.random.default_rng(0).integers(5, 30, (rows, tokens))
    mask = np.ones_like(ids)
    mask[0, tokens // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids), "not_an_input": ids}


@pytest.mark.parametrize("runtime", ["torch", "openvino", "onnxruntime"])
def test_every_runtime_has_the_models_logits_in_fp32(folder: Path, runtime: RuntimeName) -> None:
    model = load_classifier(folder).eval()
    predictor = open_runtime(folder, runtime, "fp32", threads=1)
    for rows, tokens in ((1, 3), (6, 40)):
        batch = inputs(rows, tokens)
        with torch.no_grad():
            expected = model(**{name: torch.from_numpy(batch[name]) for name in predictor.input_names}).logits.numpy()
        np.testing.assert_allclose(predictor.predict(batch), expected, atol=1e-4)


def test_streams_have_the_logits_of_one_batch_after_another_in_order(folder: Path, tmp_path: Path) -> None:
    convert_fp32(folder, tmp_path)
    batches = [inputs(1, 3), inputs(6, 40), inputs(2, 9)] * 3
    runtimes: list[RuntimeName] = ["openvino", "onnxruntime"]
    for runtime in runtimes:
        predictor = open_runtime(tmp_path, runtime, "fp32", threads=1)
        streams = open_streams(predictor, tmp_path, runtime, "fp32", threads=2)
        assert streams.count >= 1
        for found, batch in zip(streams.run(batches), batches, strict=True):
            np.testing.assert_allclose(found, predictor.predict(batch), atol=1e-5)
    assert len(open_streams(predictor, folder, "torch", "fp32", threads=1).run(batches)) == len(batches)


def test_bf16_can_be_forced_on_any_cpu(folder: Path) -> None:
    exact = open_runtime(folder, "torch", "fp32", threads=1).predict(inputs(4, 12))
    rounded = open_runtime(folder, "torch", "bf16", threads=1).predict(inputs(4, 12))
    assert rounded.dtype == np.float32
    assert 0 < np.abs(rounded - exact).max() < 0.1


def test_bf16_is_offered_only_where_the_cpu_has_it(folder: Path) -> None:
    found = available(folder)
    assert {("torch", "fp32"), ("openvino", "fp32"), ("onnxruntime", "fp32")} <= set(found)
    assert any(precision == "bf16" for _, precision in found) == cpu.has_bf16()


def test_int8_is_served_where_the_cpu_is_good_at_it() -> None:
    runtime, reason = int8_runtime()
    assert runtime == ("openvino" if cpu.has_vnni() else "onnxruntime")
    assert "VNNI" in reason


@pytest.mark.parametrize(
    ("runtime", "precision", "reason"),
    [
        ("openvino", "int8", "has no openvino_model.xml"),
        ("onnxruntime", "int8", "has no model_quantized.onnx"),
        ("torch", "int8", "torch does not run int8: choose from fp32 in torch"),
    ],
)
def test_a_missing_file_is_reported_in_one_line(folder: Path, runtime: str, precision: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as raised:
        open_runtime(folder, runtime, precision)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("runtime", "name"), [("openvino", "openvino_model.xml"), ("onnxruntime", "model_quantized.onnx")]
)
def test_a_corrupt_int8_file_is_a_user_error(tmp_path: Path, runtime: str, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a model")
    with pytest.raises(UserError, match="cannot load") as raised:
        open_runtime(tmp_path, runtime, "int8")
    assert "\n" not in str(raised.value)
