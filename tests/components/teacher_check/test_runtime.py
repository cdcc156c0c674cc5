"""The teacher computes soft labels in the fastest runtime and precision whose logits agree with FP32."""

from pathlib import Path

import numpy as np
import pytest
import torch

from compaware.components.core.base import cpu
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.soft_labels import SoftLabels, load_soft_labels
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.load import load_classifier, save_classifier
from compaware.components.core.stage.workspace import run_stage
from compaware.components.teacher_check import runtime
from compaware.components.teacher_check.check import run
from compaware.components.teacher_check.config import TeacherCheckConfig
from compaware.components.teacher_check.runtime import TeacherRuntime, choose_runtime
from tests.tiny import SMALL_BERT, make_dataset

BF16 = ("torch", "bf16")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return make_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, data: PreparedDataset) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    training = {"teacher_config": SMALL_BERT, "fine_tune_if_needed": True, "epochs": 5, "learning_rate": 3e-3}
    check(folder, data, **training, precision="fp32")
    return folder / "model"


@pytest.fixture
def bf16_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "has_bf16", lambda: True)


def check(folder: Path, data: PreparedDataset, **options: object) -> tuple[Summary, SoftLabels]:
    values = {"output": folder / "model", "soft_labels_output": folder / "soft", "dataset": data.path}
    config = validate(TeacherCheckConfig, {**values, "max_length_tokens": 32, **options})
    summary = run_stage(config, lambda workspace: run(config, workspace))
    return summary, load_soft_labels(folder / "soft", data)


def logits_of(soft_labels: SoftLabels) -> np.ndarray:
    return np.concatenate(list(soft_labels.groups()))


def test_bf16_is_chosen_where_the_cpu_has_it_and_openvino_for_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def choice(precision: str, rows: int) -> tuple[str, str]:
        chosen = choose_runtime(precision, rows)
        return chosen.runtime, chosen.precision

    monkeypatch.setattr(cpu, "has_bf16", lambda: False)
    assert choice("auto", 10**6) == choice("bf16", 10**6) == ("torch", "fp32")
    monkeypatch.setattr(cpu, "has_bf16", lambda: True)
    assert choice("auto", 1000) == choice("bf16", 1000) == BF16
    assert choice("auto", 67_349) == ("openvino", "bf16")
    assert choice("fp32", 67_349) == ("torch", "fp32")
    # As in the image with IPEX.
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    assert choice("auto", 67_349) == BF16


def test_ranks_with_different_cpus_take_what_all_of_them_have(monkeypatch: pytest.MonkeyPatch) -> None:
    fast, old = (TeacherRuntime(runtime="torch", precision=name, reason="") for name in ("bf16", "fp32"))
    monkeypatch.setattr(runtime, "gather", lambda own: [fast, old])
    assert choose_runtime("auto", 1000) == old


@pytest.mark.usefixtures("bf16_hardware")
@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_soft_labels_in_bf16_are_close_and_never_mixed_with_those_in_fp32(
    name: str, tmp_path: Path, data: PreparedDataset, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_MANY_ROWS", 1 if name == "openvino" else 10**6)
    shared = {"teacher": str(teacher), "work_uri": str(tmp_path / "shared")}
    summary, half = check(tmp_path / "half", data, **shared)
    assert (half.key.runtime, half.key.precision) == (name, "bf16")
    assert summary.facts["soft_labels_runtime"]["runtime"] == name
    full_summary, full = check(tmp_path / "full", data, **shared, precision="fp32")
    assert (full.key.runtime, full.key.precision) == ("torch", "fp32")
    assert full_summary.facts["soft_labels_agreement"] is None
    assert len(list((tmp_path / "shared/soft_labels").iterdir())) == 2
    differences, agreement = np.abs(logits_of(half) - logits_of(full)), summary.facts["soft_labels_agreement"]
    assert agreement["largest_difference"] <= differences.max() < 0.1 * logits_of(full).std()
    assert agreement["rows"] == min(256, len(logits_of(full)))


@pytest.mark.usefixtures("bf16_hardware")
def test_a_teacher_whose_logits_bf16_changes_computes_them_in_fp32(
    tmp_path: Path, data: PreparedDataset, teacher: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    model = load_classifier(teacher)
    with torch.no_grad():
        model.classifier.bias += 1000  # BF16 rounds such logits to multiples of 4.
    save_classifier(model, load_tokenizer(teacher), tmp_path / "shifted")
    summary, soft_labels = check(tmp_path, data, teacher=str(tmp_path / "shifted"))
    assert (soft_labels.key.runtime, soft_labels.key.precision) == ("torch", "fp32")
    agreement = summary.facts["soft_labels_agreement"]
    assert agreement["mean_difference"] > 0.01 * agreement["logits_std"]
    assert "soft labels in fp32 of torch: bf16 in torch is not close enough to FP32" in caplog.text
    assert (logits_of(soft_labels).argmax(-1) == data.labels("train")).mean() > 0.9


def test_soft_labels_of_earlier_versions_count_as_fp32(tmp_path: Path, data: PreparedDataset, teacher: Path) -> None:
    _, soft_labels = check(tmp_path, data, teacher=str(teacher), precision="fp32")
    file = soft_labels.path / "soft_labels.json"
    older = soft_labels.key.model_dump_json(exclude={"runtime", "precision"})
    file.write_text(older, encoding="utf-8")
    assert load_soft_labels(soft_labels.path, data).key == soft_labels.key
