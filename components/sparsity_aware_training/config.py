"""Configuration of the sparsity_aware_training component."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from compaware.components.core.sparsity.patterns import CHOICES, parse_pattern, resolve_sparsity
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import MAIN, Input, Interface, Output
from compaware.components.core.stage.options import SharedTrainingOptions, SoftLabelOptions, TrainingOptions
from compaware.components.storage.path_or_uri import PathOrUri


class SparsityAwareTrainingConfig(ComponentConfig, TrainingOptions, SoftLabelOptions):
    """Train a sparse model and keep its zeros, or prune a dense model during training.

    A sparse model keeps exactly its zeros. A dense model is pruned to `target_sparsity` by a cubic schedule; then the
    masks are fixed, and only checkpoints with the final sparsity can be the best one. Embeddings, poolers and heads are
    not pruned. Sparsity and score are measured on the saved file.
    """

    interface: ClassVar = Interface(
        "LAUNCHER",
        {
            "sparse": Output("Model", "The sparse model.", field="output"),
            "metrics": Output("Metrics", "Scores before and after, sparsity, size and compressed size."),
            "layers": Output("Markdown", "Sparsity of every layer.", fact="layers_markdown"),
        },
        job=True,
    )
    shared: ClassVar = {"training_options": SharedTrainingOptions}

    dataset: Annotated[Path, Input("Dataset")] = Field(description="Dataset folder that data_prep wrote.")
    model: Annotated[Path, Input("Model")] = Field(description="Folder of the classifier to train, sparse or dense.")
    student: Annotated[PathOrUri | None, MAIN] = Field(
        default=None,
        description="In place of `model`: a classifier or encoder by hub id, folder or URI, such as one that was "
        "pruned elsewhere.",
    )
    soft_labels: Annotated[Path | None, Input("Artifact")] = Field(
        default=None,
        description="Soft labels that teacher_check wrote for this data; without them, the true labels are used.",
    )
    target_sparsity: Annotated[float | None, MAIN] = Field(
        default=None,
        description="Fraction of zeros in the encoder's linear layers, such as 0.8. A model with as many zeros "
        "keeps them. By default (0), a sparse model keeps its zeros, and an N:M pattern sets the fraction.",
    )
    pattern: str = Field(default="unstructured", description=f"Allowed positions of zeros: {CHOICES}.")
    score: Literal["magnitude", "movement", "snip_momentum"] = Field(
        default="magnitude",
        description="Score of a weight; the lowest are pruned. Best on SST-2: snip_momentum with scope global.",
    )
    scope: Literal["layer", "global"] = Field(
        default="layer", description="Whether the target applies to every layer, or to all layers together."
    )
    exclude: list[str] = Field(
        default_factory=list,
        description="Modules that are not pruned, as shell patterns of their names, such as '*.layer.0.*'. Embeddings, "
        "poolers and heads are never pruned.",
    )
    pruning_begin_fraction: float = Field(
        default=0.05, ge=0, lt=1, description="Fraction of the training after which pruning begins."
    )
    pruning_end_fraction: float = Field(
        default=0.6, gt=0, le=1, description="Fraction of the training after which the zeros are fixed."
    )

    @field_validator("pattern", mode="before")
    @classmethod
    def _undo_base_60(cls, value: Any) -> Any:
        """Restores an unquoted 2:4, which YAML parses as a base-60 number."""
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
