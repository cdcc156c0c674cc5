"""Quantization, benchmark, gate and model card apply the same criterion, absolute or relative."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from compaware.components.accuracy_gate import gate
from compaware.components.accuracy_gate.config import AccuracyGateConfig
from compaware.components.benchmark.recommendation import recommend
from compaware.components.benchmark.results import Benchmark
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.evaluation.criterion import FACT, Criterion, CriterionResult
from compaware.components.core.stage.workspace import run_stage
from compaware.components.publish.card import limits
from tests.components.benchmark.synthetic import benchmark, measured

METRIC = "matthews_correlation"
ABSOLUTE, RELATIVE = (0.005, None), (0.005, 0.02)


def quantized(folder: Path, asked: tuple[float, float | None], baseline: float, score: float) -> Summary:
    """Saves a summary as quantization does, and loads it again."""
    judged = CriterionResult(
        **Criterion.create(METRIC, baseline, *asked).model_dump(),
        measured=score,
        runtime="onnxruntime",
        runtime_reason="made up",
    )
    facts = {FACT: judged.model_dump(mode="json")}
    folder.mkdir()
    Summary(component="quantization", version="0", config={}, metrics={}, facts=facts, machine={}).save(folder)
    return Summary.load(folder)


def passes_gate(folder: Path) -> tuple[bool, str]:
    config = AccuracyGateConfig(output=folder / "verdict", quantized=folder / "int8")
    try:
        return True, run_stage(config, lambda workspace: gate.run(config, workspace)).facts["words"]
    except UserError as error:
        return False, str(error)


def measure(summary: Summary, baseline: float, score: float, *, with_student: bool) -> Benchmark:
    """The benchmark of a student and of the INT8 model, or of the INT8 model alone."""
    student = measured("student", "torch", role="student", metric=baseline, milliseconds={1: 4.0})
    int8 = measured("int8", "onnxruntime", role="int8", precision="int8", metric=score, milliseconds={1: 1.0})
    candidates = [item.model_copy(update={"metric_name": METRIC}) for item in (student, int8)]
    own = CriterionResult.from_summary(summary)
    assert own is not None
    found = benchmark(candidates if with_student else candidates[1:], criteria={"int8": own})
    return Benchmark.model_validate_json(found.model_dump_json())


@pytest.mark.parametrize("with_student", [True, False])
@pytest.mark.parametrize(
    ("asked", "baseline", "score", "kept"),
    [
        (RELATIVE, 0.50, 0.491, True),
        (RELATIVE, 0.50, 0.49, True),
        (RELATIVE, 0.50, 0.489, False),
        (RELATIVE, 1.0, 0.98, True),
        (RELATIVE, 1.0, 0.979, False),
        (RELATIVE, 0.0, 0.0, True),
        (RELATIVE, 0.0, -0.01, False),
        (RELATIVE, -0.5, -0.51, True),
        (RELATIVE, -0.5, -0.511, False),
        (RELATIVE, 0.5, float("nan"), False),
        (ABSOLUTE, 0.50, 0.495, True),
        (ABSOLUTE, 0.50, 0.494, False),
        (ABSOLUTE, -0.01, -0.015, True),
        (ABSOLUTE, 0.5, float("nan"), False),
    ],
)
def test_all_components_agree_on_whether_a_criterion_is_met(
    tmp_path: Path, asked: tuple[float, float | None], baseline: float, score: float, kept: bool, with_student: bool
) -> None:
    summary = quantized(tmp_path / "int8", asked, baseline, score)
    passed, line = passes_gate(tmp_path)
    found = measure(summary, baseline, score, with_student=with_student)
    item = found.by_id("int8_onnxruntime")
    assert (passed, found.meets_criterion(item)) == (kept, kept)
    if with_student:
        assert (recommend(found).id == item.id) == kept
    # The allowed loss has the same wording everywhere; a relative loss names its percentage and the baseline.
    criterion = found.criteria["int8"]
    assert criterion.allowance() in line
    assert any(criterion.allowance(points=True) in sentence for sentence in found.words)
    assert (f"(2 % of {baseline:.4f})" in line) == (asked is RELATIVE)
    release = SimpleNamespace(
        dataset=SimpleNamespace(manifest=SimpleNamespace(splits={"validation": 9}, task="cola", notes=[])),
        max_length_tokens=9,
        stage=summary,
        runtime="onnxruntime",
        role="int8",
        benchmark=found,
        measured=item,
    )
    assert any("misses its accuracy criterion" in sentence for sentence in limits(release)) != kept


@pytest.mark.parametrize(("allowed", "kept"), [(0.005, False), (0.02, True)])
def test_the_benchmark_judges_the_interval_where_that_is_asked(allowed: float, kept: bool) -> None:
    student = measured("student", "torch", role="student", metric=0.9, milliseconds={1: 4.0})
    int8 = measured("int8", "onnxruntime", role="int8", precision="int8", metric=0.898, milliseconds={1: 1.0})
    own = {"int8": Criterion.create("accuracy", 0.9, allowed, gate_on="interval")}
    found = benchmark([student, int8], criteria=own, test={})
    assert found.meets_criterion(found.by_id("int8_onnxruntime")) == kept
    assert (recommend(found).id == "int8_onnxruntime") == kept
    sentence = next(words for words in found.words if "judged on the upper end" in words)
    assert ("NOT within" in sentence) != kept
    # Without the FP32 model there are no differences, and the measured loss is judged.
    alone = benchmark([int8], criteria=own)
    assert alone.criteria["int8"].gate_on == "point" and alone.meets_criterion(alone.candidates[0])
