"""Synthetic benchmarks, computed from a few speeds, for the tests of sentences and report."""

from pathlib import Path

import numpy as np

from compaware.components.benchmark.comparisons import fill_comparisons, fill_criteria, fill_ratios
from compaware.components.benchmark.config import Role
from compaware.components.benchmark.quality.calibration import calibration
from compaware.components.benchmark.quality.class_scores import class_rows, class_scores
from compaware.components.benchmark.quality.disagreements import disagreements, drift
from compaware.components.benchmark.quality.results import Quality
from compaware.components.benchmark.quality.slices import by_length, by_value, score_part
from compaware.components.benchmark.recommendation import recommend
from compaware.components.benchmark.report.sentences import sentences
from compaware.components.benchmark.results import Benchmark, Measured
from compaware.components.benchmark.timing import BatchSpeed
from compaware.components.core.base.summary import Summary
from compaware.components.core.evaluation.criterion import Criterion
from compaware.components.core.runtimes.formats import RuntimeName

MEGABYTE = 1_000_000
# Facts in the summaries of the stages.
FACTS = {
    "criterion": {
        "metric_name": "accuracy",
        "baseline": 0.5,
        "measured": 0.49,
        "asked_loss": 0.04,
        "kind": "relative",
        "runtime": "openvino",
        "runtime_reason": "made up",
    },
    "mixed_precision": [{"op_type": "Embedding", "total": 3, "int8": 3, "bf16": 0, "fp32": 0}],
    "tune_results": [{"candidate": "PTQ", "metric": 0.49, "duration_s": 1.5}],
}
HISTORY = [
    *({"step": float(step), "loss": 1 / step} for step in range(10, 4000, 10)),
    *({"step": float(step), "eval_accuracy": step / 4000} for step in (1330, 2660, 3990)),
]
LAYERS = [{"name": f"layer.{number}", "zeros": 8, "sparsity": 0.8} for number in range(12)]
SUMMARIES = {
    name: Summary(component=name, version="0", config={}, metrics={}, facts=facts, machine={})
    for name, facts in {
        "int8": FACTS,
        "student": {"training": {"history": HISTORY, "best_step": 2660}},
        "sparse": {"training": None, "layers": LAYERS},
    }.items()
}


def measured(
    name: str,
    runtime: RuntimeName,
    *,
    role: Role,
    metric: float,
    milliseconds: dict[int, float],
    megabytes: float = 90.0,
    precision: str = "fp32",
    noise: float = 0.01,
    rounds: int = 10,
    calls: int = 20,
) -> Measured:
    """Returns a candidate whose calls take `milliseconds` at each batch size, with this relative noise."""
    generator = np.random.default_rng(sum(map(ord, name + runtime)))
    batches = {}
    for size, value in milliseconds.items():
        seconds = value / 1000 * (1 + noise * generator.uniform(-1, 1, (rounds, calls)))
        batches[size] = BatchSpeed.from_rounds(seconds.tolist(), size)
    return Measured(
        id=f"{name}_bf16_{runtime}" if precision == "int8_bf16" else f"{name}_{runtime}",
        name=name,
        role=role,
        precision=precision,
        runtime=runtime,
        metric_name="accuracy",
        metric=metric,
        size_bytes=int(megabytes * MEGABYTE),
        compressed_bytes=int(megabytes * MEGABYTE * (0.3 if role == "sparse" else 0.9)),
        peak_memory_bytes=400 * MEGABYTE,
        batches=batches,
        path=str(Path("models") / name),
    )


def benchmark(
    candidates: list[Measured],
    *,
    criteria: dict[str, Criterion] | None = None,
    flags: tuple[str, ...] = ("avx2",),
    test: dict[str, float] | None = None,
    rows: int = 872,
) -> Benchmark:
    """Returns a complete benchmark of these candidates.

    Args:
        candidates: The candidates.
        criteria: Criteria of their own, by name.
        flags: Flags of the CPU.
        test: Accuracy on test by name; intervals and differences are computed from logits with these accuracies. None
            for results without intervals, as earlier versions wrote them.
        rows: Rows of validation; there are twice as many test rows.
    """
    made = Benchmark(
        machine={"cpu": "Example CPU", "flags": list(flags), "threads": 2, "versions": {"torch": "2.13.0"}},
        data={
            "task": "sst2",
            "split": "validation",
            "rows": rows,
            "metric": "accuracy",
            "median_length_tokens": 23.0,
            "cut_rows": 0,
        },
        settings={"rounds": 10, "time_budget_s": 60.0, "seed": 0, "padded": False, "max_length_tokens": 128},
        candidates=candidates,
    )
    fill_criteria(made, criteria or {})
    fill_ratios(made)
    if test is not None:
        labels = {"validation": np.zeros(rows, np.int64)} | ({"test": np.zeros(2 * rows, np.int64)} if test else {})
        made.data["test_rows"] = len(labels.get("test", ()))
        fill_comparisons(
            made,
            labels,
            lambda item, split: logits(test[item.name] if split == "test" else item.metric, len(labels[split])),
        )
    made.recommended = recommend(made)
    made.words = sentences(made)
    return made


def logits(accuracy: float, rows: int) -> np.ndarray:
    """Returns logits for labels of 0: the first rows are right, so that a less accurate model errs on more rows."""
    right = np.arange(rows) < round(accuracy * rows)
    return np.stack([right, ~right], axis=1).astype(np.float32)


def family(int8_speed: float = 2.0, int8_metric: float = 0.8956, sparse_speed: float = 1.0) -> Benchmark:
    """Returns a benchmark of teacher, student, INT8 and sparse model, each in its usual runtimes.

    Args:
        int8_speed: Speedup of the faster INT8 runtime over the student's best FP32 runtime.
        int8_metric: Accuracy of both INT8 files.
        sparse_speed: Speedup of the sparse model over the student in the same runtime.
    """
    student = {1: 4.0, 8: 18.0, 32: 64.0}

    def scaled(factor: float) -> dict[int, float]:
        return {size: value * factor for size, value in student.items()}

    return benchmark(
        [
            measured("teacher", "torch", role="teacher", metric=0.8968, milliseconds=scaled(4.0)),
            measured("teacher", "openvino", role="teacher", metric=0.8968, milliseconds=scaled(2.4)),
            measured("student", "torch", role="student", metric=0.8960, milliseconds=scaled(2.0), megabytes=69),
            measured("student", "openvino", role="student", metric=0.8960, milliseconds=scaled(1.0), megabytes=69),
            measured("student", "onnxruntime", role="student", metric=0.8960, milliseconds=scaled(1.2), megabytes=69),
            measured(
                "int8",
                "openvino",
                role="int8",
                precision="int8",
                metric=int8_metric,
                megabytes=17.5,
                milliseconds=scaled(1.3 / int8_speed),
            ),
            measured(
                "int8",
                "onnxruntime",
                role="int8",
                precision="int8",
                metric=int8_metric,
                megabytes=17.8,
                milliseconds=scaled(1.0 / int8_speed),
            ),
            measured(
                "sparse", "torch", role="sparse", metric=0.8901, milliseconds=scaled(2.0 / sparse_speed), megabytes=69
            ),
            measured(
                "sparse", "openvino", role="sparse", metric=0.8901, milliseconds=scaled(1 / sparse_speed), megabytes=69
            ),
        ]
    )


def quality(
    names: tuple[str, ...] = ("negative", "positive"), *, loss: float = 0.0, rows: int = 872, text: str = "a dull film"
) -> Quality:
    """Returns the figures of predictions for `family`, from random logits.

    Args:
        names: Names of the classes, and of the shops that rows come from.
        loss: Fraction of the last class's rows that INT8 decides wrong and the student right.
        rows: Number of rows.
        text: Text of all rows.
    """
    generator = np.random.default_rng(0)
    labels = generator.integers(0, len(names), rows)
    student = 4 * np.eye(len(names))[labels] + 1.5 * generator.normal(size=(rows, len(names)))
    int8 = student + 0.1 * generator.normal(size=student.shape)
    last = np.flatnonzero(labels == len(names) - 1)
    int8[last[: int(loss * len(last))]] = 9 * np.eye(len(names))[0]
    logits = {"teacher": 1.2 * student, "student": student, "int8": int8, "sparse": student}
    parts = [*by_length(generator.integers(3, 60, rows)), *by_value("shop", [names[label] for label in labels])]
    found = disagreements(int8, student, labels, names)
    for item in found:
        item.text = text
    return Quality(
        split="test",
        rows=rows,
        forms={
            "teacher": "teacher_openvino",
            "student": "student_openvino",
            "int8": "int8_onnxruntime",
            "sparse": "sparse_openvino",
        },
        served="int8_onnxruntime",
        reference="student_torch",
        int8="int8_onnxruntime",
        class_rows=class_rows(labels, names),
        classes={
            name: class_scores(each, labels, names, None if name == "student" else student)
            for name, each in logits.items()
        },
        calibration={
            name: calibration(each, labels, 0.8 if name == "int8" else None, None if name == "student" else student)
            for name, each in logits.items()
        },
        slices=[score_part(part, "accuracy", int8, labels, student) for part in parts],
        disagreements=found,
        drift=[drift(split, int8, student, names, multi_label=False) for split in ("test", "unlabelled")],
    )
