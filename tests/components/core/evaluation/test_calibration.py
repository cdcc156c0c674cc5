"""Calibration errors have their textbook values, and the fitted temperature undoes a known one."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import brier_score_loss, log_loss
from transformers import AutoConfig, BertConfig

from compaware.components.core.base.errors import UserError
from compaware.components.core.evaluation.calibration import (
    calibration_errors,
    fit_temperature,
    read_temperature,
    save_temperature,
)
from compaware.components.core.models.load import load_classifier, load_tokenizer, save_classifier
from tests.tiny import make_dataset, make_model


def drawn(kind: str, rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits, and labels that are drawn with the logits' probabilities: perfectly calibrated."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (rows, 3)).astype(np.float32)
    if kind == "multi_label":
        return logits, (generator.random(logits.shape) < expit(logits)).astype(np.int8)
    return logits, (softmax(logits, axis=1).cumsum(axis=1) < generator.random((rows, 1))).sum(axis=1).clip(max=2)


@pytest.mark.parametrize("kind", ["classes", "multi_label"])
def test_the_temperature_undoes_overconfidence(kind: str) -> None:
    logits, labels = drawn(kind)
    temperature = fit_temperature(3 * logits, labels)
    assert temperature == pytest.approx(3, rel=0.05)
    before, after = (calibration_errors(each, labels) for each in (3 * logits, 3 * logits / temperature))
    assert after["ece"] < 0.015 < 0.1 < before["ece"]
    assert after["nll"] < before["nll"] and after["brier"] < before["brier"]


def test_the_errors_are_those_of_scikit_learn_and_of_a_loop_over_bins() -> None:
    logits, labels = drawn("classes", 500)
    logits *= 2
    probabilities = softmax(logits.astype(np.float64), axis=1)
    errors = calibration_errors(logits, labels)
    assert errors["nll"] == pytest.approx(log_loss(labels, probabilities))
    assert errors["brier"] == pytest.approx(sum(brier_score_loss(labels == k, probabilities[:, k]) for k in range(3)))
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    ece = 0.0
    for number in range(15):
        within = (top > number / 15) & (top <= (number + 1) / 15)
        if within.any():
            ece += within.mean() * abs(top[within].mean() - right[within].mean())
    assert errors["ece"] == pytest.approx(ece)


def test_extreme_logits_stay_finite_and_broken_ones_are_nan_or_refused() -> None:
    labels = np.array([[1, 0], [0, 1]], np.int8)
    sure = np.where(labels, 1e4, -1e4).astype(np.float32)
    assert calibration_errors(sure, labels) == {"ece": 0.0, "brier": 0.0, "nll": 0.0}
    assert math.isfinite(calibration_errors(-sure, labels)["nll"])
    assert 0.01 < fit_temperature(sure, labels) < 30
    broken = np.array([[math.nan, 0.0], [1.0, 0.0]], np.float32)
    assert all(math.isnan(value) for value in calibration_errors(broken, np.array([0, 1])).values())
    with pytest.raises(UserError, match="NaN or infinite"):
        fit_temperature(broken, np.array([0, 1]))
    with pytest.raises(UserError, match="calibrate=false"):
        fit_temperature(np.zeros((2, 1)), np.array([0.5, 1.5]))


def test_the_temperature_in_config_json_survives_from_pretrained_and_save_pretrained(tmp_path: Path) -> None:
    BertConfig().save_pretrained(tmp_path)
    assert read_temperature(tmp_path) is None
    save_temperature(tmp_path, 1.5)
    AutoConfig.from_pretrained(tmp_path).save_pretrained(tmp_path / "copy")
    assert read_temperature(tmp_path / "copy") == 1.5
    assert json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))["model_type"] == "bert"


def test_a_model_that_is_made_of_another_does_not_keep_its_temperature(tmp_path: Path) -> None:
    source = make_model(tmp_path / "model", make_dataset(tmp_path / "data", 8, 8))
    save_temperature(source, 1.5)
    save_classifier(load_classifier(source), load_tokenizer(source), tmp_path / "copy")
    assert (read_temperature(source), read_temperature(tmp_path / "copy")) == (1.5, None)
