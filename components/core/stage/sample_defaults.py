"""Defaults for the built-in sample, with which every pipeline runs without any setting.

They apply only to the sample and are therefore not in the configurations: values for a tiny teacher that is trained
from scratch are wrong for all other models.
"""

import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compaware.components.core.base.errors import UserError
from compaware.components.storage import fetch
from compaware.components.storage.uri import join

SAMPLE = "sample"
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Defaults:
    """Values for one component on the sample.

    Attributes:
        values: Values of keys that are not set.
        unless: If one of these keys is set, no value applies.
    """

    values: Mapping[str, Any]
    unless: tuple[str, ...] = ()


# A small BERT, trained from scratch because the sample has no fine-tuned teacher.
_TEACHER = {
    "model_type": "bert",
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "max_position_embeddings": 128,
    "hidden_dropout_prob": 0.05,
    "attention_probs_dropout_prob": 0.05,
}
DEFAULTS = {
    "teacher_check": Defaults(
        {
            "teacher_config": _TEACHER,
            "fine_tune_if_needed": True,
            "min_score": 0.85,
            "epochs": 5.0,
            "learning_rate": 4e-4,
            "batch_size": 16,
        },
        unless=("teacher", "teacher_config"),
    ),
    "distillation": Defaults(
        # Two of the teacher's layers.
        {"student_layers": [0, 3], "epochs": 2.0, "learning_rate": 3e-4, "batch_size": 16},
        unless=("student", "student_layers", "student_config"),
    ),
    "quantization_aware_training": Defaults(
        {"max_metric_loss": 0.01, "epochs": 1.0, "learning_rate": 1e-4, "batch_size": 16}
    ),
    "sparsity_aware_training": Defaults(
        {"target_sparsity": 0.8, "epochs": 3.0, "learning_rate": 5e-4, "batch_size": 16},
        unless=("student", "target_sparsity", "pattern"),
    ),
    "benchmark": Defaults({"time_budget_s": 20.0, "floor": ["tfidf"]}),
    "sweep_plan": Defaults({"students": [{"student_layers": [0]}, {"student_layers": [0, 3]}]}, unless=("students",)),
    "sweep_branch": Defaults(
        {
            "student_options": {"epochs": 2.0, "learning_rate": 3e-4, "batch_size": 16},
            "sparsity_options": {"epochs": 1.0, "learning_rate": 3e-4, "batch_size": 16},
        }
    ),
    "sweep_benchmark": Defaults({"time_budget_s": 30.0, "floor": ["tfidf"]}),
}


def with_sample_defaults(component: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Adds a component's defaults for the sample if its `dataset` is the sample.

    Args:
        component: The component's folder name.
        values: Its configuration; null and an empty mapping count as not set.

    Raises:
        UnavailableError: The dataset's store does not answer.
    """
    if component not in DEFAULTS or not values.get("dataset") or _task_of(str(values["dataset"])) != SAMPLE:
        return dict(values)
    return add_defaults(component, values)


def add_defaults(component: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """As `with_sample_defaults`, for data that is known to be the sample."""
    defaults = DEFAULTS.get(component)
    given = {key: value for key, value in values.items() if value not in (None, {})}
    if defaults is None or any(key in given for key in defaults.unless):
        return dict(values)
    return {**values, **defaults.values, **given}


def _task_of(dataset: str) -> str:
    """Returns the task in a dataset's manifest; empty if it cannot be read, which the stage reports itself."""
    with suppress(UserError, OSError, ValueError, AttributeError), tempfile.TemporaryDirectory() as folder:
        file = fetch(join(dataset, _MANIFEST), Path(folder))
        return str(json.loads(file.read_text(encoding="utf-8")).get("task", ""))
    return ""
