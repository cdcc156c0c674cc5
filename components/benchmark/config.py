"""Configuration of the benchmark."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from compaware.components.core.stage.config import ComponentConfig

Role = Literal["teacher", "student", "int8", "sparse"]
Runtime = Literal["torch", "openvino", "onnxruntime", "ipex"]


class Candidate(BaseModel):
    """One model to measure.

    Attributes:
        name: Short name for tables and metric names.
        role: Role of the model; the first teacher and the first student are the references.
        folder: Folder of a Model artifact.
        runtimes: Runtimes to measure it in; by default all that can load it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    role: Role
    folder: Path
    runtimes: tuple[Runtime, ...] | None = None


class MeasuringOptions(BaseModel):
    """Options of the measurement."""

    split: str = Field(default="validation", description="Split for accuracy and sequence lengths.")
    batch_sizes: tuple[PositiveInt, ...] = Field(
        default=(1, 8, 32), min_length=1, description="Batch sizes to measure."
    )
    rounds: int = Field(default=10, ge=3, description="Maximum timed rounds; all candidates take a turn in each.")
    time_budget_s: float = Field(
        default=90.0, gt=0, description="Time for all timed rounds in seconds; there are at least 3 rounds."
    )
    threads: PositiveInt | None = Field(
        default=None, description="Threads of every runtime; by default all CPUs within the container's limit."
    )
    max_length_tokens: PositiveInt = Field(default=128, description="Longer sentences are cut.")
    padded: bool = Field(
        default=False, description="Pad every sentence to max_length_tokens instead of the longest of its batch."
    )
    seed: int = Field(default=0, ge=0, description="Seed for the order of the sentences and of the candidates' turns.")

    @model_validator(mode="after")
    def _batch_sizes_differ(self) -> Self:
        if len(set(self.batch_sizes)) < len(self.batch_sizes):
            raise ValueError("batch_sizes must differ from one another")
        return self


class BenchmarkConfig(ComponentConfig, MeasuringOptions):
    """Measures all candidates side by side: latency, throughput, memory, size and accuracy."""

    dataset: Path = Field(description="Folder of a Dataset artifact.")
    candidates: tuple[Candidate, ...] = Field(
        min_length=1, description="Models to measure, each with name, role (teacher, student, int8, sparse) and folder."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [candidate.name for candidate in self.candidates]
        if len(set(names)) < len(names):
            raise ValueError("candidates must have different names")
        return self
