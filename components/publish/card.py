"""The model card's metadata, in the format of the Hugging Face hub, and the model's limits."""

import math
import re
from pathlib import Path
from typing import Any

from compaware.components.benchmark.report.formatting import (
    join_with_and,
    name_and_runtime,
    reported_split,
    runtime_label,
)
from compaware.components.core.data.dataset import TEST, ProblemType
from compaware.components.core.data.tasks import TASKS
from compaware.components.core.evaluation.criterion import CriterionResult
from compaware.components.publish.history_files import Entry
from compaware.components.publish.release import Release

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_TAGS = {
    "student": ["distillation"],
    "sparse": ["sparsity", "pruning"],
    "int8": ["int8", "quantization", "openvino", "onnx"],
}
_METRIC_TYPES = {"f1_macro": "f1", "f1_micro": "f1", "pearson": "pearsonr", "spearman": "spearmanr"}


def card_metadata(release: Release, entry: Entry) -> dict[str, Any]:
    """Returns the card's YAML metadata; `model-index` holds the metric on validation and on test."""
    manifest = release.dataset.manifest
    data = manifest.source.get("data") if manifest.source.get("kind") == "hub" else None
    metric = _METRIC_TYPES.get(entry.metric_name, entry.metric_name)
    results = [
        {
            "task": {"type": "text-classification", "name": manifest.task},
            "dataset": {"type": data or manifest.task, "name": manifest.task, "split": split},
            "metrics": [{"type": metric, "name": entry.metric_name, "value": round(value, 6)}],
        }
        for split, value in (("validation", entry.metric), (TEST, entry.test_metric))
        if value is not None and not math.isnan(value)
    ]
    teacher = release.teacher_id()
    fields: dict[str, Any] = {
        # All built-in tasks are English.
        "language": ["en"] if manifest.task in TASKS else None,
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "base_model": teacher if _HUB_ID.fullmatch(teacher) and not Path(teacher).exists() else None,
        "datasets": [data] if data else None,
        "metrics": [metric],
        "tags": ["compaware", *_TAGS[release.role]],
        "model-index": [{"name": release.name, "results": results}],
    }
    return {key: value for key, value in fields.items() if value is not None}


def limits(release: Release) -> list[str]:
    """Returns what a user should know before relying on the model."""
    manifest, stage = release.dataset.manifest, release.stage
    rows = [f"{manifest.splits[split]:,} {split}" for split in ("validation", TEST) if manifest.splits.get(split)]
    texts = [
        f"Inputs are cut at {release.max_length_tokens} tokens.",
        f"It was measured on {join_with_and(rows)} rows of {manifest.task} and on nothing else; "
        "it has the biases of the teacher and of the data.",
    ]
    criterion = CriterionResult.from_summary(stage)
    if criterion and not criterion.passed:
        compared = criterion.describe_result()
        texts.append(f"It misses its accuracy criterion against the FP32 model: {compared}.")
    agreement = stage.metrics.get(f"{release.runtime}_agreement")
    if agreement is not None:
        texts.append(describe_agreement(release.runtime, agreement, manifest.problem_type))
    if release.role == "sparse":
        texts.append("Its zeros reduce the compressed size; the report says whether they make any runtime faster.")
    trivial = release.benchmark.trivial
    if trivial and (prediction := trivial.constant.get(release.measured.id)):
        texts.append(f"It predicts {prediction} for every row of {reported_split(release.benchmark)}.")
    texts += other_recommendation(release)
    texts.append(
        f"Speed was measured on {release.benchmark.machine['cpu']}; on other CPUs another runtime may be faster."
    )
    return texts + manifest.notes


def describe_agreement(runtime: str, agreement: float, problem_type: ProblemType) -> str:
    """Returns how far the predictions of an INT8 file are those of the simulated model; of numbers, the correlation."""
    if problem_type == "regression":
        return f"In {runtime}, its predictions correlate with those of the simulated INT8 model: {agreement:.4f}."
    return f"In {runtime}, {agreement:.1%} of its predictions equal those of the simulated INT8 model."


def other_recommendation(release: Release) -> list[str]:
    """Returns a sentence if the benchmark recommends another model, or this one in another runtime or precision."""
    benchmark, published = release.benchmark, release.measured
    if benchmark.recommended is None or benchmark.recommended.id == published.id:
        return []
    recommended = benchmark.by_id(benchmark.recommended.id)
    forms = f"{name_and_runtime(recommended)} instead of this model"
    if recommended.name == published.name:
        forms = f"this model in {runtime_label(recommended)} instead of {runtime_label(published)}"
    return [f"On {benchmark.machine['cpu']}, the benchmark recommends {forms}."]
