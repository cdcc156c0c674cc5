"""Configuration of the sparsity_aware_training component."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from compaware.components.core.sparsity.patterns import CHOICES, parse_pattern, resolve_sparsity
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import MAIN, Input, Interface, Output
from compaware.components.core.stage.options import SharedTrainingOptions, SoftLabelOptions, TrainingOptions
from compaware.components.storage.places import Place


class SparsityAwareTrainingConfig(ComponentConfig, TrainingOptions, SoftLabelOptions):
    """Train a sparse model without losing a zero, or prune a dense one while it trains.

    A sparse model keeps exactly its zeros. A dense one is pruned to `target_sparsity` on a cubic schedule, the rest of
    the training has fixed masks, and only checkpoints of the final sparsity count. Embeddings, poolers and heads are
    not pruned. Sparsity and score are measured on the saved file.
    """

    interface: ClassVar = Interface(
        "LAUNCHER",
        {
            "sparse": Output("Model", "The sparse model.", field="output"),
            "metrics": Output("Metrics", "Validation scores before and after, sparsity, size and compressed size."),
            "layers": Output("Markdown", "Sparsity of every layer.", fact="layers_markdown"),
        },
        job=True,
    )
    shared: ClassVar = {"training_options": SharedTrainingOptions}

    dataset: Annotated[Path, Input("Dataset")] = Field(description="Dataset folder that data_prep wrote.")
    model: Annotated[Path, Input("Model")] = Field(description="Folder of the classifier to train, sparse or dense.")
    student: Annotated[Place | None, MAIN] = Field(
        default=None,
        description="In place of `model`: a classifier or encoder by hub id, folder or URI, such as one that was "
        "pruned elsewhere.",
    )
    soft_labels: Annotated[Path | None, Input("Artifact")] = Field(
        default=None, description="Soft labels that teacher_check wrote for this data; without, true labels alone."
    )
    target_sparsity: Annotated[float | None, MAIN] = Field(
        default=None,
        description="Fraction of zeros in the encoder's linear layers, such as 0.8. A model that has as many already "
        "keeps the ones it has; not given, a sparse model keeps its own and an N:M pattern has its own.",
    )
    pattern: str = Field(default="unstructured", description=f"Where zeros may lie: {CHOICES}.")
    score: Literal["magnitude", "movement", "snip_momentum"] = Field(
        default="magnitude",
        description="What a weight is worth; the least are pruned. Best on SST-2: snip_momentum, scope global.",
    )
    scope: Literal["layer", "global"] = Field(
        default="layer", description="Whether every layer has the target sparsity, or all of them together."
    )
    exclude: list[str] = Field(
        default_factory=list,
        description="Modules that are not pruned, as shell patterns of their names, such as '*.layer.0.*'; embeddings, "
        "poolers and heads never are.",
    )
    pruning_begin_fraction: float = Field(
        default=0.05, ge=0, lt=1, description="Part of the training after which zeros begin to grow."
    )
    pruning_end_fraction: float = Field(
        default=0.6, gt=0, le=1, description="Part of the training after which the zeros stay as they are."
    )

    @field_validator("pattern", mode="before")
    @classmethod
    def _undo_base_60(cls, value: Any) -> Any:
        """YAML reads an unquoted 2:4 as a number of base 60."""
        return f"{value // 60}:{value % 60}" if type(value) is int else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        resolve_sparsity(parse_pattern(self.pattern), self.target_sparsity)
        if self.pruning_begin_fraction >= self.pruning_end_fraction:
            raise ValueError(
                f"pruning_begin_fraction {self.pruning_begin_fraction:g} must be less than pruning_end_fraction "
                f"{self.pruning_end_fraction:g}"
            )
        return self
