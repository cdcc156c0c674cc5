"""teacher_check matches labels, evaluates, fine-tunes if allowed, and writes soft labels once."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from compaware.components.core.base import cpu
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.data.dataset import PreparedDataset, load_dataset_folder
from compaware.components.core.data.dataset_writer import write_dataset_folder
from compaware.components.core.data.soft_labels import load_soft_labels
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.evaluation.evaluate import evaluate_folder
from compaware.components.core.models.heads import rescale_head
from compaware.components.core.models.load import load_classifier, save_classifier
from compaware.components.core.stage.workspace import Workspace, run_stage
from compaware.components.teacher_check.check import run
from compaware.components.teacher_check.config import TeacherCheckConfig
from tests.tiny import SMALL_BERT, make_dataset, make_model, turn_head

QUICK = {"epochs": 5, "learning_rate": 3e-3, "max_length_tokens": 32}


def check(folder: Path, data: PreparedDataset, **options: object) -> Summary:
    values = {"output": folder / "model", "soft_labels_output": folder / "soft", "dataset": data.path}
    config = validate(TeacherCheckConfig, {**QUICK, **values, **options})
    return run_stage(config, lambda workspace: run(config, workspace))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return make_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def fine_tuned(tmp_path_factory: pytest.TempPathFactory, data: PreparedDataset) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    check(folder, data, teacher_config=SMALL_BERT, fine_tune_if_needed=True)
    return folder


def test_a_teacher_from_scratch_is_trained_evaluated_and_its_logits_saved(
    fine_tuned: Path, data: PreparedDataset
) -> None:
    summary = Summary.load(fine_tuned / "model")
    assert summary.metrics["teacher_accuracy"] > 0.9 and summary.metrics["majority_score"] == 0.5
    assert np.trace(summary.facts["confusion_matrix"]["matrix"]) == round(summary.metrics["teacher_accuracy"] * 96)
    logits = np.concatenate(list(load_soft_labels(fine_tuned / "soft", data).groups()))
    labels = data.labels("train")
    assert logits.dtype == np.float32 and (logits.argmax(-1) == labels).mean() > 0.9


def test_a_good_teacher_passes_without_changes(tmp_path: Path, fine_tuned: Path, data: PreparedDataset) -> None:
    summary = check(tmp_path, data, teacher=str(fine_tuned / "model"))
    assert summary.metrics["fine_tuned"] == 0
    before, after = (load_classifier(folder / "model").state_dict() for folder in (fine_tuned, tmp_path))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_untrained_teacher_is_rejected_with_a_remedy(tmp_path: Path, data: PreparedDataset) -> None:
    make_model(tmp_path / "fresh", data)
    with pytest.raises(UserError, match="give a fine-tuned teacher, a lower min_score, or fine_tune_if_needed"):
        check(tmp_path, data, teacher=str(tmp_path / "fresh"))
    assert not (tmp_path / "model").exists() and not (tmp_path / "soft").exists()


def test_a_good_teacher_passes_if_nearly_all_rows_have_one_class(
    tmp_path: Path, fine_tuned: Path, data: PreparedDataset
) -> None:
    rows = data.split("validation")
    few = np.flatnonzero(rows["label"].to_numpy() == 0)[:1]
    unbalanced = rows.take(pa.array([*few, *np.flatnonzero(rows["label"].to_numpy() == 1)]))
    (tmp_path / "data").mkdir()
    described = data.manifest.model_dump(exclude={"splits", "fingerprint", "slice_columns"})
    write_dataset_folder(tmp_path / "data", {"train": [data.split("train")], "validation": [unbalanced]}, **described)
    summary = check(tmp_path, load_dataset_folder(tmp_path / "data"), teacher=str(fine_tuned / "model"))
    assert summary.metrics["majority_score"] > 0.97 and summary.metrics["teacher_accuracy"] == 1.0


def test_a_teacher_below_min_score_is_rejected(tmp_path: Path, fine_tuned: Path, data: PreparedDataset) -> None:
    with pytest.raises(UserError, match=r"1\.5000 is needed"):
        check(tmp_path, data, teacher=str(fine_tuned / "model"), min_score=1.5)


def test_a_regression_teacher_is_checked_by_correlation_and_rescaled_to_the_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = make_dataset(tmp_path / "pairs", 512, 96, kind="similarity")
    with pytest.raises(UserError, match=r"the labels are numbers, .* set calibrate=false"):
        check(tmp_path / "calibrated", pairs, teacher=str(tmp_path / "nowhere"), calibrate=True)
    summary = check(tmp_path, pairs, teacher_config=SMALL_BERT, fine_tune_if_needed=True, epochs=12, learning_rate=5e-3)
    assert summary.metrics["teacher_pearson"] > 0.5 and summary.facts["confusion_matrix"] is None
    assert summary.facts["labels"] == "a new head"
    soft = np.concatenate(list(load_soft_labels(tmp_path / "soft", pairs).groups()))

    model = load_classifier(tmp_path / "model")
    rescale_head(model, 0.2, -3.0)
    save_classifier(model, load_tokenizer(tmp_path / "model"), tmp_path / "other")
    scaled = check(tmp_path / "scaled", pairs, teacher=str(tmp_path / "other"))
    assert "another scale than the labels" in caplog.text and "rescaled to the labels" in scaled.facts["labels"]
    found = np.concatenate(list(load_soft_labels(tmp_path / "scaled/soft", pairs).groups()))
    assert np.abs(found - soft).max() < 0.5 < np.abs(0.2 * soft - 3.0 - soft).min()

    rescale_head(model, -1.0, 0.0)
    save_classifier(model, load_tokenizer(tmp_path / "model"), tmp_path / "turned")
    with pytest.raises(UserError, match="outputs fall when the labels rise"):
        check(tmp_path / "refused", pairs, teacher=str(tmp_path / "turned"))
    turned = check(tmp_path / "round", pairs, teacher=str(tmp_path / "turned"), fine_tune_if_needed=True)
    assert turned.metrics["fine_tuned"] == 0
    assert turned.metrics["teacher_pearson"] == pytest.approx(scaled.metrics["teacher_pearson"], abs=1e-4)


@pytest.mark.parametrize("names", [["LABEL_0", "LABEL_1"], ["negative", "positive"]])
def test_a_teacher_with_labels_in_another_order_is_detected(
    tmp_path: Path, fine_tuned: Path, data: PreparedDataset, names: list[str]
) -> None:
    turn_head(fine_tuned / "model", tmp_path / "turned", names)
    order = names[::-1]
    with pytest.raises(UserError, match=re.escape(f'with label_order=["{order[0]}", "{order[1]}"]')):
        check(tmp_path / "refused", data, teacher=str(tmp_path / "turned"))
    with pytest.raises(UserError, match=re.escape(f'with label_order=["{order[0]}", "{order[1]}"]')):
        check(tmp_path / "misled", data, teacher=str(tmp_path / "turned"), label_order=names)
    for name, options in (("told", {"label_order": order}), ("allowed", {"fine_tune_if_needed": True})):
        summary = check(tmp_path / name, data, teacher=str(tmp_path / "turned"), **options)
        assert summary.metrics["teacher_accuracy"] > 0.9 and summary.metrics["fine_tuned"] == 0
        logits = np.concatenate(list(load_soft_labels(tmp_path / name / "soft", data).groups()))
        assert (logits.argmax(-1) == data.labels("train")).mean() > 0.9


def test_a_teacher_with_another_number_of_labels_stops_or_gets_a_new_head(
    tmp_path: Path, data: PreparedDataset
) -> None:
    three = make_dataset(tmp_path / "three", 9, 9, kind="three_class")
    teacher = str(make_model(tmp_path / "teacher", three))
    with pytest.raises(UserError, match="the teacher has 3 outputs, but the data has 2 classes"):
        check(tmp_path, data, teacher=teacher)
    summary = check(tmp_path, data, teacher=teacher, fine_tune_if_needed=True, existing_output="overwrite")
    assert summary.metrics["teacher_accuracy"] > 0.9 and summary.facts["labels"] == "a new head"


def test_soft_labels_are_the_saved_teachers_logits_even_after_mixed_precision(
    tmp_path: Path, data: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "has_bf16", lambda: False)  # Only the training is in BF16.
    check(tmp_path, data, teacher_config=SMALL_BERT, fine_tune_if_needed=True, precision="bf16")
    logits = np.concatenate(list(load_soft_labels(tmp_path / "soft", data).groups()))
    answers = evaluate_folder(tmp_path / "model", data.path, "train", max_length_tokens=32, batch_size=64)
    np.testing.assert_allclose(logits, answers.logits, atol=1e-5)


def test_nodes_without_shared_storage_are_rejected_at_once(tmp_path: Path, data: PreparedDataset) -> None:
    values = {"output": tmp_path / "model", "soft_labels_output": tmp_path / "soft", "dataset": data.path}
    config = validate(TeacherCheckConfig, {**QUICK, **values, "teacher": str(tmp_path / "teacher")})
    # As on a node whose disk rank 0 has not written to.
    with pytest.raises(UserError, match="put `work` on a disk that all nodes share, or set work_uri"):
        run(config, Workspace(config))


def test_validation_with_one_class_is_rejected_without_min_score(
    tmp_path: Path, fine_tuned: Path, data: PreparedDataset
) -> None:
    rows = data.split("validation")
    positive = rows.take(pa.array(np.flatnonzero(rows["label"].to_numpy() == 1)))
    (tmp_path / "data").mkdir()
    described = data.manifest.model_dump(exclude={"splits", "fingerprint", "slice_columns"})
    write_dataset_folder(tmp_path / "data", {"train": [data.split("train")], "validation": [positive]}, **described)
    one_class = load_dataset_folder(tmp_path / "data")
    with pytest.raises(UserError, match=r"better accuracy on validation than .* ignore the text \(1\.0000\): add rows"):
        check(tmp_path / "refused", one_class, teacher=str(fine_tuned / "model"))
    summary = check(tmp_path / "accepted", one_class, teacher=str(fine_tuned / "model"), min_score=0.9)
    assert summary.metrics["majority_score"] == 1.0 and summary.metrics["fine_tuned"] == 0
