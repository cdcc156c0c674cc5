"""What the model card says besides figures: its metadata, as the Hugging Face hub reads it, and the model's limits."""

import re
from pathlib import Path
from typing import Any

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
_METRIC_TYPES = {"f1_macro": "f1", "pearson": "pearsonr", "spearman": "spearmanr"}


def metadata(release: Release, entry: Entry) -> dict[str, Any]:
    """The card's YAML block, with `model-index` holding what was measured."""
    manifest = release.dataset.manifest
    data = manifest.source.get("data") if manifest.source.get("kind") == "hub" else None
    metric = _METRIC_TYPES.get(entry.metric_name, entry.metric_name)
    result = {
        "task": {"type": "text-classification", "name": manifest.task},
        "dataset": {"type": data or manifest.task, "name": manifest.task, "split": "validation"},
        "metrics": [{"type": metric, "name": entry.metric_name, "value": round(entry.metric, 6)}],
    }
    teacher = release.teacher_id()
    found: dict[str, Any] = {
        # All tasks that are known by name are English.
        "language": ["en"] if manifest.task in TASKS else None,
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "base_model": teacher if _HUB_ID.fullmatch(teacher) and not Path(teacher).exists() else None,
        "datasets": [data] if data else None,
        "metrics": [metric],
        "tags": ["compaware", *_TAGS[release.role]],
        "model-index": [{"name": release.name, "results": [result]}],
    }
    return {key: value for key, value in found.items() if value is not None}


def limits(release: Release) -> list[str]:
    """What a user should know before relying on the model."""
    manifest, stage = release.dataset.manifest, release.stage
    said = [
        f"Inputs are cut at {release.max_length_tokens} tokens.",
        f"It was measured on {manifest.splits['validation']} validation rows of {manifest.task} and on nothing else; "
        "it has the teacher's biases and those of the data.",
    ]
    criterion = CriterionResult.from_summary(stage)
    if criterion and not criterion.passed:
        compared = criterion.describe(criterion.measured)
        said.append(f"It misses its accuracy criterion against the FP32 model: {compared}.")
    agreement = stage.metrics.get(f"{release.runtime}_agreement")
    if agreement is not None:
        said.append(
            f"In {release.runtime}, {agreement:.1%} of its labels are those of the graph that it was trained as."
        )
    if release.role == "sparse":
        said.append("Its zeros show in compressed size; see the report for whether any runtime here runs them faster.")
    said.append(f"Speed was measured on {release.benchmark.machine['cpu']}; other CPUs may prefer another runtime.")
    return said + manifest.notes
