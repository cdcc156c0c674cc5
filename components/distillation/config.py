"""Configuration of the distillation component."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import MAIN, Input, Interface, Output
from compaware.components.core.stage.options import (
    BackendOptions,
    Layers,
    SharedTrainingOptions,
    SoftLabelOptions,
    TrainingOptions,
)
from compaware.components.storage.path_or_uri import PathOrUri


class DistillationConfig(ComponentConfig, TrainingOptions, BackendOptions, SoftLabelOptions):
    """Train a student on the soft labels of a teacher.

    The loss is alpha * T^2 * KL(teacher / T || student / T) + (1 - alpha) * cross-entropy, mean squared error for
    regression. The teacher runs only if `hidden_weight` or `attention_weight` is above 0, since soft labels hold logits
    only. The student with the best validation score is kept.
    """

    interface: ClassVar = Interface(
        "LAUNCHER",
        {
            "model": Output("Model", "The student.", field="output"),
            "metrics": Output("Metrics", "Scores of the student and the teacher, sizes and training speed."),
        },
        job=True,
    )
    shared: ClassVar = {"training_options": SharedTrainingOptions}

    dataset: Annotated[Path, Input("Dataset")] = Field(description="Dataset folder that data_prep wrote.")
    teacher: Annotated[Path, Input("Model")] = Field(description="Teacher folder that teacher_check wrote.")
    soft_labels: Annotated[Path, Input("Artifact")] = Field(
        description="Soft labels that teacher_check wrote for this data."
    )
    student: Annotated[PathOrUri | None, MAIN] = Field(
        default=None, description="Student by hub id, folder or URI (file, s3, minio)."
    )
    student_layers: Annotated[Layers | None, MAIN] = Field(
        default=None,
        description="In place of `student`: build it from these encoder layers of the teacher; the first is 0.",
    )
    student_config: dict[str, Any] | None = Field(
        default=None,
        description="In place of `student`: a transformers configuration (with model_type), for fresh weights.",
    )
    student_tokenizer: PathOrUri | None = Field(
        default=None, description="Tokenizer by hub id or folder; by default the student's own, else the teacher's."
    )
    frozen_layers: int = Field(
        default=0,
        ge=0,
        description="Number of the student's first encoder layers to freeze, with its embeddings and without dropout; "
        "0 freezes nothing.",
    )
    hidden_weight: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the hidden-state loss. Above 0, the teacher runs at every step, since "
        "soft labels hold no hidden states.",
    )
    attention_weight: float = Field(
        default=0.0, ge=0, description="Weight of the attention loss. Above 0, the teacher runs at every step."
    )
    layer_map: dict[int, int] | None = Field(
        default=None,
        description="Student layer to teacher layer for these two losses; by default spread evenly, last to last.",
    )

    @model_validator(mode="after")
    def _one_student(self) -> Self:
        given = [name for name in ("student", "student_layers", "student_config") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of student, student_layers and student_config, not {' and '.join(given) or 'none'}"
            )
        if self.frozen_layers and self.student_config is not None:
            raise ValueError(
                "frozen_layers would freeze the fresh weights of student_config: set it to 0, or give another student"
            )
        return self
