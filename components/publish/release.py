"""What is to be published, read once: the model with everything that is known of how it came to be."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from compaware.components.benchmark.config import Role
from compaware.components.benchmark.results import FILE_NAME, Benchmark, Measured
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.hashing import fingerprint_files
from compaware.components.core.base.summary import FILE_NAME as SUMMARY_FILE
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import PreparedDataset, load_dataset_folder
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.runtimes.formats import ONNX_FILE, OPENVINO_FILE, Precision, RuntimeName
from compaware.components.core.runtimes.predictors import int8_runtime
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.publish.config import PublishConfig
from compaware.components.storage.uri import parse

_ROLES: dict[str, Role] = {
    "distillation": "student",
    "sparsity_aware_training": "sparse",
    "quantization_aware_training": "int8",
}
_LONGEST_NAME = 50


@dataclass(frozen=True)
class Release:
    """A model and where it comes from.

    Attributes:
        config: What was asked for.
        name: The model's name, from the last part of the prefix; a Kubernetes name.
        dataset: The data.
        benchmark: All measurements.
        stages: Summaries of the stages that made the model, in order.
        role: student, sparse or int8.
        runtime: Runtime that serves it on this CPU.
        precision: Its precision there.
        model_fingerprint: SHA-256 of its files.
        fingerprints: Of data, teacher, parameters and product.
    """

    config: PublishConfig
    name: str
    dataset: PreparedDataset
    benchmark: Benchmark
    stages: list[Summary]
    role: Role
    runtime: RuntimeName
    precision: Precision
    model_fingerprint: str
    fingerprints: dict[str, str]

    @classmethod
    def read(cls, config: PublishConfig) -> "Release":
        """Reads what the configuration names.

        Raises:
            UserError: A folder is not what it should be, or the prefix is no path or URI.
        """
        made_by = Summary.load(config.model).component
        if made_by not in _ROLES:
            raise UserError(f"{config.model} was made by {made_by}: publish what one of {', '.join(_ROLES)} made")
        dataset = load_dataset_folder(config.dataset)
        folders = [config.dataset, config.teacher, config.student, config.model]
        stages = [Summary.load(folder) for folder in folders if folder and (folder / SUMMARY_FILE).is_file()]
        runtime, precision = serving(config.model)
        return cls(
            config=config,
            name=_name(config.publish_uri),
            dataset=dataset,
            benchmark=_benchmark(config.results),
            stages=stages,
            role=_ROLES[made_by],
            runtime=runtime,
            precision=precision,
            model_fingerprint=fingerprint_files(model_files(config.model)),
            fingerprints=_fingerprints(config, dataset, stages),
        )

    @property
    def stage(self) -> Summary:
        """The stage that made the model."""
        return self.stages[-1]

    @cached_property
    def max_length_tokens(self) -> int:
        """What the model's inputs are cut at: what was asked for, or less where it takes less."""
        return min(self.config.max_length_tokens, load_tokenizer(self.config.model).model_max_length)

    @property
    def measured(self) -> Measured:
        """The model's own measurements, in the runtime that serves it where that was measured."""
        own = self.benchmark.of(self.role)
        if not own:
            raise UserError(f"{self.config.results} did not measure the {self.role}: give the benchmark of this model")
        served = (item for item in own if (item.runtime, item.precision) == (self.runtime, self.precision))
        return next(served, own[0])

    def teacher_id(self) -> str:
        """The teacher as the user named it."""
        given = next((stage.config for stage in self.stages if stage.component == "teacher_check"), {})
        return str(given.get("teacher") or "a teacher trained from scratch")


def model_files(folder: Path) -> list[Path]:
    """The files of a model that are published: all but what our components keep there for one another."""
    return sorted(file for file in folder.iterdir() if file.is_file() and file.name != SUMMARY_FILE)


def serving(folder: Path) -> tuple[RuntimeName, Precision]:
    """The runtime and precision that serve a model folder on this CPU."""
    if (folder / ONNX_FILE).is_file() and (folder / OPENVINO_FILE).is_file():
        return int8_runtime()[0], "int8"
    return "torch", "fp32"


def parameters(stage: Summary) -> dict[str, Any]:
    """A stage's settings, without folders and what only says where it ran."""
    elsewhere = {*ComponentConfig.model_fields, "inputs_fingerprint"}
    return {
        key: value
        for key, value in stage.config.items()
        if key not in elsewhere and value is not None and not str(value).startswith("/")
    }


def _benchmark(results: Path) -> Benchmark:
    file = results / FILE_NAME
    if not file.is_file():
        raise UserError(f"{results} has no {FILE_NAME}: give a folder that benchmark wrote")
    return Benchmark.model_validate_json(file.read_text(encoding="utf-8"))


def _fingerprints(config: PublishConfig, dataset: PreparedDataset, stages: list[Summary]) -> dict[str, str]:
    settings = json.dumps([[stage.component, parameters(stage)] for stage in stages], sort_keys=True)
    found = {"data": dataset.manifest.fingerprint, "teacher": "", "version": version("compaware")}
    if config.changes:
        found |= Summary.load(config.changes).facts["fingerprints"]
    return found | {"parameters": hashlib.sha256(settings.encode()).hexdigest()}


def _name(prefix: str) -> str:
    location = parse(prefix)
    last = location.absolute().name if isinstance(location, Path) else location.key.rpartition("/")[2]
    name = re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")[:_LONGEST_NAME].rstrip("-")
    return name if name[:1].isalpha() else f"model-{name}".rstrip("-")


def storage_uri(prefix: str, folder: str) -> str:
    """A published folder as other programs are told of it: s3 in the place of minio, no parameters, a whole path."""
    location = parse(prefix)
    if isinstance(location, Path):
        return (location.absolute() / folder).as_uri()
    return f"s3://{location.bucket}/{location.below(folder)}"
