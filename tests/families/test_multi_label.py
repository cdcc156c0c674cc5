"""Multi-label data in every stage: all models learn the labels, and the report shows each label."""

from pathlib import Path

import pytest

from compaware.components.benchmark import measure
from compaware.components.benchmark.config import BenchmarkConfig
from compaware.components.core.base.summary import Summary
from compaware.components.distillation import distil
from compaware.components.distillation.config import DistillationConfig
from compaware.components.quantization_aware_training import quantize
from compaware.components.quantization_aware_training.config import QuantizationAwareTrainingConfig
from compaware.components.sparsity_aware_training import sparsify
from compaware.components.sparsity_aware_training.config import SparsityAwareTrainingConfig
from compaware.components.teacher_check import check
from compaware.components.teacher_check.config import TeacherCheckConfig
from tests.families.stages import run_component
from tests.tiny import SMALL_BERT, make_dataset

TRAINING = {"learning_rate": 3e-3, "batch_size": 16, "max_length_tokens": 16, "existing_output": "overwrite"}


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Summary]]:
    """Runs all stages and returns the folder of all artifacts and the summary of each stage."""
    root = tmp_path_factory.mktemp("stages")
    data = make_dataset(root / "data", 480, 96, kind="topics").path
    shared = {"dataset": data, **TRAINING}
    soft = {"soft_labels": root / "soft", "alpha": 0.8}
    teacher = {"teacher_config": SMALL_BERT, "fine_tune_if_needed": True, "soft_labels_output": root / "soft"}
    found = {
        "teacher": run_component(
            check,
            TeacherCheckConfig,
            output=root / "teacher",
            epochs=30,
            **teacher,
            **(shared | {"learning_rate": 2e-3}),
        ),
    }
    found["student"] = run_component(
        distil,
        DistillationConfig,
        output=root / "student",
        teacher=root / "teacher",
        student_layers=[0],
        epochs=8,
        **soft,
        **shared,
    )
    found["sparse"] = run_component(
        sparsify,
        SparsityAwareTrainingConfig,
        output=root / "sparse",
        model=root / "student",
        target_sparsity=0.5,
        epochs=5,
        **soft,
        **shared,
    )
    found["int8"] = run_component(
        quantize,
        QuantizationAwareTrainingConfig,
        output=root / "int8",
        model=root / "student",
        mode="qat",
        epochs=2,
        **soft,
        **(shared | {"learning_rate": 1e-3}),
    )
    candidates = [
        {"name": role, "role": role, "folder": root / role, "runtimes": [runtime]}
        for role, runtime in {"teacher": "torch", "student": "torch", "sparse": "torch", "int8": "onnxruntime"}.items()
    ]
    found["benchmark"] = run_component(
        measure,
        BenchmarkConfig,
        output=root / "report",
        dataset=data,
        candidates=candidates,
        batch_sizes=[1],
        rounds=3,
        time_budget_s=1,
        max_length_tokens=16,
    )
    return root, found


def test_every_stage_learns_the_labels(stages: tuple[Path, dict[str, Summary]]) -> None:
    found = stages[1]
    best_constant_answer = found["teacher"].metrics["majority_score"]
    for stage, prefix in {"teacher": "teacher", "student": "student", "sparse": "sparse", "int8": "int8"}.items():
        assert found[stage].metrics[f"{prefix}_f1_micro"] > best_constant_answer + 0.15, stage
        assert {f"{prefix}_f1_macro", f"{prefix}_subset_accuracy"} <= found[stage].metrics.keys()
    assert found["teacher"].facts["confusion_matrix"] is None
    assert found["sparse"].metrics["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert min(found["int8"].metrics[f"{runtime}_agreement"] for runtime in ("openvino", "onnxruntime")) > 0.9


def test_the_report_has_each_label_of_each_model(stages: tuple[Path, dict[str, Summary]]) -> None:
    report = (stages[0] / "report/report.md").read_text(encoding="utf-8")
    table = report[report.index("## By label") :].split("\n\n")[2].splitlines()
    columns, _, *lines = [line.strip("| ").split(" | ") for line in table]
    assert [line[0] for line in lines] == ["praise", "blame", "numbers"]
    for name in ("teacher", "student", "sparse", "INT8"):
        assert min(float(line[columns.index(f"F1 {name}")]) for line in lines) > 0.5


def test_a_served_model_has_the_problem_type_multi_label(stages: tuple[Path, dict[str, Summary]]) -> None:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(stages[0] / "int8")
    assert config.problem_type == "multi_label_classification"
    assert config.id2label == {0: "praise", 1: "blame", 2: "numbers"}
