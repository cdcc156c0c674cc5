"""The teacher computes soft labels in the fastest runtime and precision whose logits agree with FP32."""

import time
from collections.abc import Iterator
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
from compaware.components.teacher_check.runtime import Agreement, Teacher, TeacherRuntime, choose_runtime
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
    assert choice("auto", 1000) == choice("bf16", 1000) == ("torch", "fp32")
    assert choice("auto", 67_349) == choice("bf16", 67_349) == ("openvino", "fp32")
    monkeypatch.setattr(cpu, "has_bf16", lambda: True)
    assert choice("auto", 1000) == choice("bf16", 1000) == BF16
    assert choice("auto", 67_349) == ("openvino", "bf16")
    assert choice("fp32", 1000) == ("torch", "fp32")
    assert choice("fp32", 67_349) == ("openvino", "fp32")
    # As in the image with IPEX.
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    assert choice("auto", 67_349) == BF16
    assert choice("fp32", 67_349) == ("torch", "fp32")


def test_ranks_with_different_cpus_take_what_all_of_them_have(monkeypatch: pytest.MonkeyPatch) -> None:
    fast, old = (TeacherRuntime(runtime="openvino", precision=name, reason="") for name in ("bf16", "fp32"))
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
    monkeypatch.setattr(runtime, "_MANY_ROWS", 10**6)
    full_summary, full = check(tmp_path / "full", data, **shared, precision="fp32")
    assert (full.key.runtime, full.key.precision) == ("torch", "fp32")
    assert full_summary.facts["soft_labels_agreement"] is None
    assert len(list((tmp_path / "shared/soft_labels").iterdir())) == 2
    differences = np.abs(logits_of(half) - logits_of(full))
    assert 0 < differences.max() < 0.1 * logits_of(full).std()
    agreement = summary.facts["soft_labels_agreement"]
    assert agreement["rows"] == min(256, data.manifest.splits["validation"])
    assert 0 < agreement["largest_difference"] < 0.1 * agreement["logits_std"]


def test_fp32_logits_of_openvino_are_those_of_torch_row_by_row(
    tmp_path: Path, data: PreparedDataset, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More batches than two workers take at once, and two workers even on one CPU.
    monkeypatch.setattr(cpu, "threads", lambda processes=1: 2)
    options = {"teacher": str(teacher), "precision": "fp32", "soft_label_batch_size": 3}
    _, expected = check(tmp_path / "torch", data, **options)
    monkeypatch.setattr(runtime, "_MANY_ROWS", 1)
    _, soft_labels = check(tmp_path / "openvino", data, **options)
    assert soft_labels.key.runtime == "openvino"
    assert np.abs(logits_of(soft_labels) - logits_of(expected)).max() < 1e-4 * logits_of(expected).std()


def test_logits_that_are_as_far_as_those_of_bf16_are_not_fp32() -> None:
    rounded = Agreement(rows=256, mean_difference=0.004, largest_difference=0.03, logits_std=2.3)
    assert rounded.is_close("bf16") and not rounded.is_close("fp32")
    nan = rounded.model_copy(update={"mean_difference": float("nan")})
    assert not nan.is_close("bf16")


def test_at_most_one_thread_in_eight_is_left_over() -> None:
    assert [runtime._workers(threads) for threads in (1, 2, 8, 12, 32)] == [(1, 1), (2, 1), (8, 1), (6, 2), (8, 4)]
    for threads in range(1, 129):
        workers, each = runtime._workers(threads)
        assert workers <= 8 and 0 <= threads - workers * each <= threads / 8


def test_workers_keep_the_order_of_batches_and_pass_errors_on() -> None:
    def predict(batch: dict[str, np.ndarray]) -> np.ndarray:
        time.sleep(0.02 if batch["input_ids"][0, 0] % 2 else 0)
        if batch["input_ids"][0, 0] == 7:
            raise ValueError("batch 7")
        return batch["input_ids"].astype(np.float32)

    def batches(count: int) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        return ((np.array([number]), {"input_ids": np.array([[number]])}) for number in range(count))

    teacher = Teacher(predict, workers=3)
    assert [(rows.item(), logits.item()) for rows, logits in teacher.run(batches(7))] == [(n, n) for n in range(7)]
    with pytest.raises(ValueError, match="batch 7"):
        list(teacher.run(batches(20)))


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
