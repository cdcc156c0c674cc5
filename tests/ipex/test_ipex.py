"""Intel Extension for PyTorch, in its own environment (`make test-ipex`): it trains and serves as torch does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from compaware.components.benchmark import measure
from compaware.components.benchmark.config import BenchmarkConfig
from compaware.components.benchmark.results import FILE_NAME, Benchmark
from compaware.components.core.base import cpu
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.evaluation.evaluate import evaluate_folder
from compaware.components.core.models.load import load_classifier
from compaware.components.core.runtimes.predictors import open_runtime
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace, run_stage
from compaware.components.core.training.ipex import choose_backend
from compaware.components.core.training.trainer import TrainingResult, train
from tests.tiny import SMALL_BERT, make_dataset, make_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return make_dataset(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, data: PreparedDataset) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "model", data)


def trained_with(
    backend: str, folder: Path, data: PreparedDataset, output: Path, precision: str = "fp32"
) -> tuple[dict[str, torch.Tensor], TrainingResult]:
    """The weights of a training in which nothing is drawn by chance but the order of rows, and its course."""
    torch.manual_seed(0)
    model = load_classifier(folder)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    options = TrainingOptions(epochs=5, learning_rate=3e-3, max_length_tokens=32, precision=precision)
    workspace = Workspace(ComponentConfig(output=output))
    chosen = choose_backend(backend, precision)
    trained = train(model, load_tokenizer(folder), data, options, workspace, backend=chosen)
    return {name: weight.detach() for name, weight in model.state_dict().items()}, trained


def losses(trained: TrainingResult) -> list[float]:
    return [point["loss"] for point in trained.history if "loss" in point]


def test_fp32_training_is_that_of_torch(tmp_path: Path, folder: Path, data: PreparedDataset) -> None:
    plain, plainly = trained_with("torch", folder, data, tmp_path / "torch")
    weights, trained = trained_with("ipex", folder, data, tmp_path / "ipex")
    assert trained.backend == "ipex" and trained.steps == plainly.steps
    np.testing.assert_allclose(losses(trained), losses(plainly), rtol=0.02)
    assert losses(trained)[-1] < 0.9 * losses(trained)[0]
    # What is left behind is the model that came, with the weights that were trained.
    assert {name: weight.shape for name, weight in weights.items()} == {n: weight.shape for n, weight in plain.items()}
    torch.testing.assert_close(weights["classifier.weight"], plain["classifier.weight"], rtol=0.05, atol=0.01)


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path, folder: Path, data: PreparedDataset) -> None:
    whole, _ = trained_with("ipex", folder, data, tmp_path / "o")
    newest = max((tmp_path / "o.work/checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    (newest / "trainer_state.json").unlink()
    again, _ = trained_with("ipex", folder, data, tmp_path / "o")
    for name, weight in again.items():
        torch.testing.assert_close(weight, whole[name])


def test_bf16_trains_if_the_cpu_has_it_and_is_rejected_in_one_line_otherwise(
    tmp_path: Path, folder: Path, data: PreparedDataset
) -> None:
    if "avx512f" in cpu.flags():
        weights, trained = trained_with("ipex", folder, data, tmp_path / "ipex", precision="bf16")
        assert trained.backend == "ipex" and losses(trained)[-1] < losses(trained)[0]
        assert {weight.dtype for weight in weights.values() if weight.is_floating_point()} == {torch.float32}
    else:
        with pytest.raises(UserError, match=r"^ipex computes BF16 with AVX-512 or AMX.*: use precision=fp32$"):
            trained_with("ipex", folder, data, tmp_path / "ipex", precision="bf16")


def test_two_processes_distil_a_student_that_reloads_with_its_score(tmp_path: Path, data: PreparedDataset) -> None:
    places = [f"dataset={data.path}", "backend=ipex", "learning_rate=3e-3", "max_length_tokens=64"]
    config = f"teacher_config={json.dumps(SMALL_BERT)}"
    outputs = [f"output={tmp_path}/teacher", f"soft_labels_output={tmp_path}/soft"]
    run("-m", "compaware.components.teacher_check", *places, *outputs, config, "fine_tune_if_needed=true", "epochs=8")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    inputs = [f"teacher={tmp_path}/teacher", f"soft_labels={tmp_path}/soft", f"output={tmp_path}/student"]
    run(*torchrun, "-m", "compaware.components.distillation", *places, *inputs, "student_layers=[0]", "epochs=4")
    summary = Summary.load(tmp_path / "student")
    assert summary.facts["training"]["backend"] == "ipex" and summary.facts["training"]["processes"] == 2
    found = evaluate_folder(tmp_path / "student", data.path, max_length_tokens=64)
    assert found.metrics["accuracy"] == summary.metrics["student_accuracy"] > 0.8


def run(*words: str) -> None:
    """Runs Python to its end."""
    subprocess.run([sys.executable, *words], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300)


def test_ipex_has_the_models_logits_in_fp32_for_any_shape(folder: Path) -> None:
    predictor = open_runtime(folder, "ipex", "fp32", threads=1)
    eager = open_runtime(folder, "torch", "fp32", threads=1)
    for rows, tokens in ((1, 3), (6, 40), (32, 17)):
        ids = np.random.default_rng(0).integers(5, 30, (rows, tokens))
        mask = np.ones_like(ids)
        mask[0, tokens // 2 :] = 0
        batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        np.testing.assert_allclose(predictor.predict(batch), eager.predict(batch), atol=1e-4)


def test_it_is_measured_beside_torch_in_fp32_and_int8(tmp_path: Path, data: PreparedDataset) -> None:
    torch.manual_seed(0)
    folder = make_model(tmp_path / "untrained", data)
    weights, _ = trained_with("torch", folder, data, tmp_path / "training")
    model = load_classifier(folder)
    model.load_state_dict(weights)
    model.save_pretrained(folder)
    config = BenchmarkConfig(
        output=tmp_path / "results",
        dataset=data.path,
        candidates=[{"name": "student", "role": "student", "folder": folder}],
        batch_sizes=(1, 8),
        rounds=3,
        time_budget_s=1.0,
        threads=1,
    )
    run_stage(config, lambda workspace: measure.run(config, workspace))
    found = Benchmark.model_validate_json((tmp_path / "results" / FILE_NAME).read_text(encoding="utf-8"))
    assert {"student_torch", "student_ipex", "student_int8_ipex"} <= {item.id for item in found.candidates}
    assert found.by_id("student_ipex").metric == found.by_id("student_torch").metric > 0.8
    assert found.by_id("student_int8_ipex").metric == pytest.approx(found.by_id("student_torch").metric, abs=0.05)
    assert found.machine["versions"]["intel-extension-for-pytorch"].startswith("2.8")


def test_quantization_aware_training_is_rejected_in_one_line(
    tmp_path: Path, folder: Path, data: PreparedDataset
) -> None:
    words = [f"dataset={data.path}", f"model={folder}", f"output={tmp_path}/int8"]
    command = [sys.executable, "-m", "compaware.components.quantization_aware_training", *words]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert found.returncode == 2
    assert found.stderr.splitlines()[-1] == (
        "error: quantization_aware_training needs torchao, which is not installed here: "
        "use the component's image or extra"
    )
