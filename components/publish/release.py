"""The model to publish, with everything that is known about how it was produced."""

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
    """A model and its provenance.

    Attributes:
        config: The configuration of publish.
        name: The model's name, from the last part of the prefix; a valid Kubernetes name.
        dataset: The data.
        benchmark: All measurements.
        stages: Summaries of the stages that produced the model, in order.
        role: student, sparse or int8.
        runtime: Runtime that serves it on this CPU.
        precision: Precision in that runtime.
        model_fingerprint: SHA-256 of its files.
        fingerprints: Fingerprints of data, teacher and parameters, and compaware's version.
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
        """Loads everything that the configuration names.

        Raises:
            UserError: A folder is not the expected artifact, or the prefix is not a path or URI.
        """
        component = Summary.load(config.model).component
        if component not in _ROLES:
            raise UserError(
                f"{config.model} was written by {component}: publish a model from one of {', '.join(_ROLES)}"
            )
        dataset = load_dataset_folder(config.dataset)
        folders = [config.dataset, config.teacher, config.student, config.model]
        stages = [Summary.load(folder) for folder in folders if folder and (folder / SUMMARY_FILE).is_file()]
        runtime, precision = serving_runtime(config.model)
        return cls(
            config=config,
            name=_name(config.publish_uri),
            dataset=dataset,
            benchmark=_benchmark(config.results),
            stages=stages,
            role=_ROLES[component],
            runtime=runtime,
            precision=precision,
            model_fingerprint=fingerprint_files(model_files(config.model)),
            fingerprints=_fingerprints(config, dataset, stages),
        )

    @property
    def stage(self) -> Summary:
        """Summary of the stage that produced the model."""
        return self.stages[-1]

    @cached_property
    def max_length_tokens(self) -> int:
        """Tokens that the model's inputs are cut at: the configured number, or fewer if the model takes fewer."""
        return min(self.config.max_length_tokens, load_tokenizer(self.config.model).model_max_length)

    @property
    def measured(self) -> Measured:
        """The model's measurements, in the runtime that serves it if that was measured."""
        items = self.benchmark.of(self.role)
        if not items:
            raise UserError(f"{self.config.results} has no figures of the {self.role}: give this model's benchmark")
        served = (item for item in items if (item.runtime, item.precision) == (self.runtime, self.precision))
        return next(served, items[0])

    def teacher_id(self) -> str:
        """Returns the teacher as the user named it."""
        config = next((stage.config for stage in self.stages if stage.component == "teacher_check"), {})
        return str(config.get("teacher") or "a teacher trained from scratch")


def model_files(folder: Path) -> list[Path]:
    """Returns the files of a model that are published: all except the summary."""
    return sorted(file for file in folder.iterdir() if file.is_file() and file.name != SUMMARY_FILE)


def serving_runtime(folder: Path) -> tuple[RuntimeName, Precision]:
    """Returns the runtime and precision that serve a model on this CPU."""
    if (folder / ONNX_FILE).is_file() and (folder / OPENVINO_FILE).is_file():
        return int8_runtime()[0], "int8"
    return "torch", "fp32"


def stage_settings(stage: Summary) -> dict[str, Any]:
    """Returns a stage's settings, without folders and options that do not affect its output."""
    excluded = {*ComponentConfig.model_fields, "inputs_fingerprint"}
    return {
        key: value
        for key, value in stage.config.items()
        if key not in excluded and value is not None and not str(value).startswith("/")
    }


def _benchmark(results: Path) -> Benchmark:
    file = results / FILE_NAME
    if not file.is_file():
        raise UserError(f"{results} has no {FILE_NAME}: give the output folder of benchmark")
    return Benchmark.model_validate_json(file.read_text(encoding="utf-8"))


def _fingerprints(config: PublishConfig, dataset: PreparedDataset, stages: list[Summary]) -> dict[str, str]:
    settings = json.dumps([[stage.component, stage_settings(stage)] for stage in stages], sort_keys=True)
    fingerprints = {"data": dataset.manifest.fingerprint, "teacher": "", "version": version("compaware")}
    if config.changes:
        fingerprints |= Summary.load(config.changes).facts["fingerprints"]
    return fingerprints | {"parameters": hashlib.sha256(settings.encode()).hexdigest()}


def _name(prefix: str) -> str:
    location = parse(prefix)
    last = location.absolute().name if isinstance(location, Path) else location.key.rpartition("/")[2]
    name = re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")[:_LONGEST_NAME].rstrip("-")
    return name if name[:1].isalpha() else f"model-{name}".rstrip("-")


def storage_uri(prefix: str, folder: str) -> str:
    """Returns a published folder's URI for other programs: s3 instead of minio, no parameters, an absolute path."""
    location = parse(prefix)
    if isinstance(location, Path):
        return (location.absolute() / folder).as_uri()
    return f"s3://{location.bucket}/{location.below(folder)}"
