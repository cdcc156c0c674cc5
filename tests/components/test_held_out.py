"""Choices are made on validation alone: with other test labels, every stage decides the same and reports the same.

Both runs of the stages differ only in the labels of the test split.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compaware.components.accuracy_gate import gate
from compaware.components.accuracy_gate.config import AccuracyGateConfig
from compaware.components.core.base.hashing import fingerprint_files
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.soft_labels import load_soft_labels
from compaware.components.core.evaluation import evaluate as evaluation
from compaware.components.core.evaluation import held_out, label_order
from compaware.components.core.evaluation.calibration import read_temperature
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.workspace import run_stage
from compaware.components.distillation import distil
from compaware.components.distillation.config import DistillationConfig
from compaware.components.quantization_aware_training import candidate, quantize
from compaware.components.quantization_aware_training.config import QuantizationAwareTrainingConfig
from compaware.components.sparsity_aware_training import sparsify
from compaware.components.sparsity_aware_training.config import SparsityAwareTrainingConfig
from compaware.components.teacher_check import check
from compaware.components.teacher_check.config import TeacherCheckConfig
from tests.components.benchmark.synthetic import benchmark, family
from tests.tiny import SMALL_BERT, make_dataset, with_test_labels_reversed

QUICK = {"max_length_tokens": 16, "learning_rate": 5e-3, "batch_size": 16, "calibrate": True}
_VARIES = re.compile(r"test|words|markdown|size_bytes|seconds|runtime$|_per_s|_s$")


@dataclass
class Stages:
    """One run of all stages on the data.

    Attributes:
        read: Splits that the stages themselves opened; evaluations run in other processes.
        evaluated: Stage and split of each evaluation, in order.
    """

    root: Path
    data: PreparedDataset
    summaries: dict[str, Summary] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    evaluated: list[tuple[str, str]] = field(default_factory=list)

    def run(self, stage: Any, config: type[ComponentConfig], name: str, **values: Any) -> None:
        known = {key: value for key, value in QUICK.items() if key in config.model_fields}
        checked = validate(config, {**known, "output": self.root / name, **values})
        evaluate = evaluation.evaluate_folder

        def reading(method: Callable[..., Any]) -> Callable[..., Any]:
            def read(dataset: PreparedDataset, split: str, *numbers: Any) -> Any:
                self.read.add(split)
                return method(dataset, split, *numbers)

            return read

        def evaluated(model: Path, data: Path, split: str = "validation", **options: Any) -> evaluation.Evaluation:
            self.evaluated.append((name, split))
            return evaluate(model, data, split, **options)

        with pytest.MonkeyPatch.context() as patches:
            for method in ("split", "labels", "groups"):
                patches.setattr(PreparedDataset, method, reading(getattr(PreparedDataset, method)))
            for module in (stage, held_out, label_order, candidate):
                if hasattr(module, "evaluate_folder"):
                    patches.setattr(module, "evaluate_folder", evaluated)
            self.summaries[name] = run_stage(checked, lambda workspace: stage.run(checked, workspace))

    def run_all(self) -> "Stages":
        data, soft, teacher, student = self.data.path, self.root / "soft", self.root / "teacher", self.root / "student"
        new = {"teacher_config": {**SMALL_BERT, "num_hidden_layers": 1}, "fine_tune_if_needed": True, "epochs": 4}
        self.run(check, TeacherCheckConfig, "teacher", dataset=data, soft_labels_output=soft, **new)
        of_teacher = {"teacher": teacher, "soft_labels": soft, "student_layers": [0], "epochs": 2}
        self.run(distil, DistillationConfig, "student", dataset=data, **of_teacher)
        pruned = {"model": student, "target_sparsity": 0.5, "epochs": 1}
        self.run(sparsify, SparsityAwareTrainingConfig, "sparse", dataset=data, **pruned)
        self.run(quantize, QuantizationAwareTrainingConfig, "int8", dataset=data, model=student, calibration_rows=16)
        self.run(gate, AccuracyGateConfig, "verdict", quantized=self.root / "int8", on_failure="warn")
        return self


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Stages, Stages]:
    root = tmp_path_factory.mktemp("held_out")
    data = make_dataset(root / "data", test_rows=48)
    other = with_test_labels_reversed(data, root / "other_data")
    assert data.manifest.fingerprint != other.manifest.fingerprint
    return Stages(root / "one", data).run_all(), Stages(root / "other", other).run_all()


def decided(value: Any) -> Any:
    """Returns a summary's content without figures on test, times and sizes of files."""
    if isinstance(value, dict):
        return {name: decided(item) for name, item in value.items() if not _VARIES.search(name)}
    return [decided(item) for item in value] if isinstance(value, list) else value


def test_other_test_labels_change_the_figures_on_test_and_nothing_else(runs: tuple[Stages, Stages]) -> None:
    one, other = runs
    for name, summary in one.summaries.items():
        same = other.summaries[name]
        assert decided(summary.metrics) == decided(same.metrics), name
        assert decided(summary.facts) == decided(same.facts), name
        figures = {key for key in summary.metrics if "_test_" in key}
        for key in figures:
            assert summary.metrics[key] + same.metrics[key] == 1, key
    for file in ("teacher/model.safetensors", "student/model.safetensors", "sparse/model.safetensors"):
        assert fingerprint_files([one.root / file]) == fingerprint_files([other.root / file]), file


def test_the_finished_models_are_evaluated_on_test_after_everything_else(runs: tuple[Stages, Stages]) -> None:
    one, _ = runs
    assert one.read == {"train", "validation"}
    on_test = {"teacher": 1, "student": 1, "sparse": 2, "int8": 2}
    for name, count in on_test.items():
        splits = [split for stage, split in one.evaluated if stage == name]
        assert splits[-count:] == ["test"] * count and "test" not in splits[:-count], name
    student, int8 = one.summaries["student"].metrics, one.summaries["int8"]
    assert student["teacher_test_accuracy"] == one.summaries["teacher"].metrics["teacher_test_accuracy"]
    found = evaluation.evaluate_folder(one.root / "student", one.data.path, "test", max_length_tokens=16)
    assert student["student_test_accuracy"] == found.metrics["accuracy"] == int8.metrics["baseline_test_accuracy"]
    for name in on_test:
        temperature = read_temperature(one.root / name)
        assert temperature is not None and temperature == one.summaries[name].facts["calibration"]["temperature"]
    words = one.summaries["verdict"].facts["words"]
    assert f"on the 48 test rows {int8.metrics['int8_test_accuracy']:.4f} against" in words
    table = int8.facts["statistics_markdown"]
    assert "accuracy, test |" in table
    sentence = "Validation (96 rows) was used to choose the quantization; test (48 rows) was used for no choice."
    assert table.endswith(f"{sentence}\n")


def test_soft_labels_of_a_calibrated_teacher_are_not_divided_by_its_temperature(runs: tuple[Stages, Stages]) -> None:
    one, _ = runs
    soft = np.concatenate(list(load_soft_labels(one.root / "soft", one.data).groups()))
    logits = evaluation.evaluate_folder(one.root / "teacher", one.data.path, "train", max_length_tokens=16).logits
    temperature = read_temperature(one.root / "teacher")
    assert temperature is not None and abs(temperature - 1) > 0.05
    # The teacher may have run in BF16.
    assert (soft * logits).sum() / (logits**2).sum() == pytest.approx(1, abs=0.01)


def test_figures_on_test_choose_no_form_to_serve() -> None:
    names = {item.name for item in family().candidates}
    found = [
        benchmark(family().candidates, test={name: 0.95 if name == lucky else 0.5 for name in names}) for lucky in names
    ]
    assert len({item.recommended.model_dump_json() for item in found if item.recommended}) == 1
    assert len({tuple(map(item.meets_criterion, item.candidates)) for item in found}) == 1
    assert len({item.by_id("int8_onnxruntime").reported_metric for item in found}) == 2
