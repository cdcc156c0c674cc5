"""Configuration of the benchmark."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from compaware.components.core.runtimes.formats import RuntimeName
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import MAIN, Input, Interface, Output

Role = Literal["teacher", "student", "int8", "sparse", "floor"]
FloorName = Literal["tfidf", "static"]
FloorRuntime = Literal["sklearn", "numpy"]


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
    runtimes: tuple[RuntimeName, ...] | None = None


class MeasuringOptions(BaseModel):
    """Options of the measurement."""

    split: str = Field(
        default="validation",
        description="Split that choices are made on and whose rows are timed; `test` is only reported.",
    )
    batch_sizes: tuple[PositiveInt, ...] = Field(
        default=(1, 8, 32), min_length=1, description="Batch sizes to measure."
    )
    rounds: int = Field(default=10, ge=3, description="Maximum timed rounds; all candidates take a turn in each.")
    time_budget_s: float = Field(
        default=90.0,
        gt=0,
        description="Time for all timed rounds in seconds; there are at least 3 rounds. The scenarios of a "
        "server take as long again, but at most a minute.",
    )
    threads: PositiveInt | None = Field(
        default=None,
        description="Threads of every runtime; by default one for each physical core, or for each CPU of the "
        "container's limit if it shares its CPUs with others.",
    )
    max_length_tokens: Annotated[PositiveInt, MAIN] = Field(default=128, description="Longer sentences are cut.")
    padded: bool = Field(
        default=False, description="Pad every sentence to max_length_tokens instead of the longest of its batch."
    )
    # An answer within 100 ms seems immediate to a person; half of it is left for the network and the tokenizer.
    latency_bound_ms: float = Field(
        default=50.0,
        gt=0,
        description="Bound on the 99th percentile of a query's latency when queries arrive at random, in ms.",
    )
    seed: int = Field(default=0, ge=0, description="Seed for the order of the sentences and of the candidates' turns.")
    floor: tuple[FloorName, ...] = Field(
        default=(),
        description="Models without a transformer that the benchmark trains and measures too, to show what a "
        "transformer gains: tfidf (logistic or ridge regression on TF-IDF of words and pairs of words), static (the "
        "same on averaged static embeddings of tokens, which the teacher gives, or without one the student).",
    )

    @model_validator(mode="after")
    def _batch_sizes_differ(self) -> Self:
        if len(set(self.batch_sizes)) < len(self.batch_sizes):
            raise ValueError("batch_sizes must differ from one another")
        return self


class BenchmarkConfig(ComponentConfig, MeasuringOptions):
    """Measure all models side by side and write a report.

    Each model runs in every runtime that can serve it on this CPU, in a separate process. The processes take turns on
    the same batches, so that a disturbance affects all of them. Speed, memory, size and accuracy come from the same
    process and the same files. The report recommends the fastest form (model, runtime and precision) that keeps the
    accuracy, and says which technique brings nothing on this CPU. A labelled test split is reported and decides
    nothing.

    A model that cannot be measured is listed with the reason; the task fails only if no model can be measured. If
    memory does not hold all processes at once, they are measured in groups that share a reference.
    """

    interface: ClassVar = Interface(
        "BENCHMARK",
        {
            "results": Output("Artifact", "Folder with benchmark.json, report.html and report.md.", field="output"),
            "report_html": Output("HTML", "The report.", file="report.html"),
            "report_markdown": Output("Markdown", "The report as Markdown.", file="report.md"),
            "metrics": Output("Metrics", "All figures as flat numbers with stable names."),
            "confusion_matrix": Output(
                "ClassificationMetrics", "Confusion matrix of the model to serve, and its ROC curve for two classes."
            ),
        },
    )

    dataset: Annotated[Path, Input("Dataset")] = Field(description="Folder of a Dataset artifact.")
    teacher: Annotated[Path | None, Input("Model")] = Field(
        default=None, description="The teacher; FP32 in torch eager is the reference of all speeds."
    )
    student: Annotated[Path | None, Input("Model")] = Field(default=None, description="The distilled FP32 model.")
    sparse: Annotated[Path | None, Input("Model")] = Field(default=None, description="The sparse FP32 model.")
    quantized: Annotated[Path | None, Input("Model")] = Field(default=None, description="The INT8 model.")
    candidates: tuple[Candidate, ...] = Field(
        default=(),
        description="More models to measure, each with name, role (teacher, student, int8, sparse) and folder.",
    )

    @property
    def models(self) -> tuple[Candidate, ...]:
        """All models to measure; models that are given by role have the role as their name."""
        roles: dict[Role, Path | None] = {
            "teacher": self.teacher,
            "student": self.student,
            "int8": self.quantized,
            "sparse": self.sparse,
        }
        given = (Candidate(name=role, role=role, folder=folder) for role, folder in roles.items() if folder)
        return (*given, *self.candidates)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [candidate.name for candidate in self.models]
        if not names:
            raise ValueError("give a model to measure: teacher, student, sparse, quantized or candidates")
        if any(candidate.role == "floor" for candidate in self.models):
            raise ValueError("a candidate cannot have the role floor: set floor instead, such as floor=[tfidf]")
        names += self.floor
        if len(set(names)) < len(names):
            raise ValueError("candidates must have different names")
        return self
