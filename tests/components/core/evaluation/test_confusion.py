"""Confusion matrix and ROC curve for the KFP UI."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kfp import dsl
from sklearn.metrics import roc_auc_score

from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import Manifest
from compaware.components.core.evaluation.confusion import classification_facts
from compaware.components.launch import log_classification


def manifest(problem_type: str, *names: str) -> Manifest:
    return Manifest.model_construct(problem_type=problem_type, label_names=list(names))


def logged(facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What KFP keeps of the artifact."""
    artifact = dsl.ClassificationMetrics(uri=str(folder / "confusion_matrix"))
    summary = Summary(component="", version="0", config={}, metrics={}, facts=facts, machine={})
    log_classification(summary, artifact)
    assert (folder / "confusion_matrix").is_file()
    # KFP sends it as JSON, which has no infinity.
    return json.loads(json.dumps(artifact.metadata, allow_nan=False))


def test_two_classes_have_a_matrix_and_a_curve(tmp_path: Path):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 1000)
    logits = np.stack([np.zeros(1000), 2 * labels - 1 + generator.normal(0, 1.5, 1000)], axis=-1)
    found = classification_facts(manifest("classification", "bad", "good"), logits, labels)
    matrix = np.array(found["confusion_matrix"]["matrix"])
    assert matrix.sum(axis=1).tolist() == np.bincount(labels).tolist()
    assert np.trace(matrix) == (logits.argmax(axis=-1) == labels).sum()
    roc = found["roc"]
    assert len(roc["fpr"]) <= 200 and (roc["fpr"][0], roc["tpr"][0], roc["fpr"][-1], roc["tpr"][-1]) == (0, 0, 1, 1)
    assert np.trapezoid(roc["tpr"], roc["fpr"]) == pytest.approx(roc_auc_score(labels, logits[:, 1]), abs=0.005)
    kept = logged(found, tmp_path)
    assert len(kept["confidenceMetrics"]) == len(roc["fpr"])
    assert [item["displayName"] for item in kept["confusionMatrix"]["annotationSpecs"]] == ["bad", "good"]


def test_three_classes_have_a_matrix_alone(tmp_path: Path):
    found = classification_facts(manifest("classification", "a", "b", "c"), np.eye(3), np.arange(3))
    assert found == {"confusion_matrix": {"labels": ["a", "b", "c"], "matrix": np.eye(3).tolist()}, "roc": None}
    assert "confidenceMetrics" not in logged(found, tmp_path)


def test_targets_have_neither(tmp_path: Path):
    found = classification_facts(manifest("regression"), np.ones((3, 1)), np.ones(3))
    assert found == {"confusion_matrix": None, "roc": None}
    assert logged(found, tmp_path) == {}
