"""A run that is killed repeatedly has the result of an uninterrupted one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import TrainerCallback, set_seed

from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.evaluation.evaluate import Evaluation
from compaware.components.core.evaluation.intervals import Difference
from compaware.components.core.int8.convert import convert_graph
from compaware.components.core.int8.fake_quantized import FakeQuantizedClassifier, FreezeObservers
from compaware.components.core.int8.ptq import run_graph
from compaware.components.core.models.load import load_classifier
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.trainer import train
from compaware.components.quantization_aware_training import candidate
from compaware.components.quantization_aware_training import quantize as stage
from tests.components.quantization_aware_training.conftest import quantize
from tests.kills import KillAt, KilledError
from tests.tiny import make_dataset, make_model

# 16 steps, 8 an epoch; ranges stand still from step 12 on. Checkpoints lie within epochs.
EVERY_3 = {"save_strategy": "steps", "save_steps": 3, "eval_strategy": "steps", "eval_steps": 3}
OPTIONS = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "max_length_tokens": 16}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PreparedDataset]:
    folder = tmp_path_factory.mktemp("tiny")
    data = make_dataset(folder / "data", 64, 48)
    return make_model(folder / "model", data, num_hidden_layers=1), data


def qat(tiny: tuple[Path, PreparedDataset], work: Path, kill_at: int | None = None) -> FakeQuantizedClassifier:
    source, data = tiny
    set_seed(42)
    model = FakeQuantizedClassifier(load_classifier(source))
    callbacks: list[TrainerCallback] = [FreezeObservers(model, 0.25)]
    if kill_at is not None:
        callbacks.append(KillAt(kill_at))
    options = TrainingOptions(training_arguments=EVERY_3, precision="fp32", **OPTIONS)
    workspace = Workspace(ComponentConfig(output=work))
    train(model, load_tokenizer(source), data, options, workspace, callbacks=callbacks)
    return model.eval()


def test_a_training_killed_before_and_after_ranges_freeze_has_the_same_result(
    tiny: tuple[Path, PreparedDataset], tmp_path: Path
) -> None:
    whole = qat(tiny, tmp_path / "whole")
    for step in (11, 14):
        with pytest.raises(KilledError):
            qat(tiny, tmp_path / "killed", kill_at=step)
    qat(tiny, tmp_path / "killed")
    # Killed while the trained graph was converted: the training is found finished.
    resumed = qat(tiny, tmp_path / "killed")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    ids = np.random.default_rng(0).integers(5, 40, (16, 12))
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    answers = [run_graph(convert_graph(model.graph), inputs) for model in (whole, resumed)]
    np.testing.assert_array_equal(*answers)


def test_finished_candidates_are_loaded_and_not_made_again(
    tiny: tuple[Path, PreparedDataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object, **__: object) -> None:
        raise KilledError

    # Files are made and measured by other tests; here, what is remembered of them counts.
    scores, rows = {"accuracy": 0.5}, tiny[1].manifest.splits["validation"]
    baseline = Evaluation(scores, np.zeros((rows, 2), np.float32), 1.0, "cpu")
    difference = Difference(value=0.0, low=-0.1, high=0.1, rows=rows)
    served = candidate.RuntimeResult(
        metrics=scores, difference=difference, seconds=1.0, size_bytes=1, agreement=1.0, mixed_precision=[]
    )
    monkeypatch.setattr(stage, "evaluate_folder", lambda *_, **__: baseline)
    monkeypatch.setattr(candidate, "save_int8_files", lambda *_: None)
    monkeypatch.setattr(candidate, "_measure", lambda *_: served)
    options = {**OPTIONS, "epochs": 1, "mode": "qat", "calibration_rows": 16, "existing_output": "resume"}
    for place in ("FakeQuantizedClassifier", "copy_public_files"):
        with monkeypatch.context() as patches:
            patches.setattr(stage, place, kill)
            with pytest.raises(KilledError):
                quantize(tmp_path / "out", *tiny, **options)
        monkeypatch.setattr(stage, "quantize_after_training", kill)
    monkeypatch.setattr(stage, "FakeQuantizedClassifier", kill)
    facts = quantize(tmp_path / "out", *tiny, **options).summary.facts
    assert [row["candidate"] for row in facts["tune_results"]] == ["Baseline FP32", *["PTQ"] * 2, *["QAT"] * 2]
    assert facts["training"]["steps"] == 8
    assert "openvino" in facts["statistics_markdown"] and "onnxruntime" in facts["statistics_markdown"]


@pytest.mark.parametrize(("gate_on", "trains", "chosen"), [("point", False, "PTQ"), ("interval", True, "QAT")])
def test_the_interval_decides_on_training_and_on_the_candidate_where_that_is_asked(
    tiny: tuple[Path, PreparedDataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gate_on: str,
    trains: bool,
    chosen: str,
) -> None:
    rows = tiny[1].manifest.splits["validation"]

    def made(name: str, accuracy: float, margin: float) -> candidate.QuantizedCandidate:
        difference = Difference(value=accuracy - 0.5, low=accuracy - 0.5 - margin, high=margin, rows=rows)
        served = candidate.RuntimeResult(
            metrics={"accuracy": accuracy},
            difference=difference,
            seconds=1.0,
            size_bytes=1,
            agreement=1.0,
            mixed_precision=[],
        )
        return candidate.QuantizedCandidate(name=name, made_in_s=1.0, served=dict.fromkeys(candidate.RUNTIMES, served))

    baseline = Evaluation({"accuracy": 0.5}, np.zeros((rows, 2), np.float32), 1.0, "cpu")
    monkeypatch.setattr(stage, "evaluate_folder", lambda *_, **__: baseline)
    monkeypatch.setattr(stage, "copy_public_files", lambda *_: None)
    # Post-training quantization loses less, but its interval is wider than the allowed loss.
    monkeypatch.setattr(stage, "_ptq", lambda *_: made("PTQ", 0.5, 0.04))
    monkeypatch.setattr(stage, "_qat", lambda *_: made("QAT", 0.495, 0.002))
    run = quantize(tmp_path / "out", *tiny, mode="auto", max_metric_loss=0.01, gate_on=gate_on)
    facts = run.summary.facts
    assert facts["chosen"] == chosen and facts["criterion"]["passed"] and facts["criterion"]["gate_on"] == gate_on
    assert (len(facts["tune_results"]) == 5) == trains
    ends = facts["criterion"]["difference"]["low"], facts["criterion"]["difference"]["high"]
    assert ends == (run.summary.metrics["int8_difference_low"], run.summary.metrics["int8_difference_high"])
