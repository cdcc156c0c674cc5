"""Configuration of the teacher_check component."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import BackendOptions, TrainingOptions
from compaware.components.storage.places import Place


class TeacherCheckConfig(ComponentConfig, TrainingOptions, BackendOptions):
    """Checks that a teacher is fine-tuned for the data, fine-tunes it where allowed, and writes its soft labels."""

    soft_labels_output: Path = Field(description="Folder that the teacher's logits for the training split are put in.")
    dataset: Path = Field(description="Dataset folder that data_prep wrote.")
    teacher: Place | None = Field(default=None, description="Teacher by hub id, folder or URI (file, s3, minio).")
    teacher_config: dict[str, Any] | None = Field(
        default=None,
        description="In place of `teacher`: a transformers configuration (with model_type) to train from scratch.",
    )
    tokenizer: Place | None = Field(
        default=None,
        description="Tokenizer by hub id or folder; by default the teacher's own, or for a teacher from scratch a "
        "WordPiece tokenizer trained on the training split.",
    )
    vocabulary_size: int = Field(
        default=2000, ge=100, description="Tokens of a tokenizer that is trained on the training split."
    )
    label_order: list[str] | None = Field(
        default=None,
        description="The teacher's label names in the order of the data's labels, where the names do not match.",
    )
    min_score: float | None = Field(
        default=None,
        description="Least validation score (primary metric) that is enough; by default, clearly more than answers "
        "that ignore the text.",
    )
    fine_tune_if_needed: bool = Field(
        default=False, description="Fine-tune a teacher that falls short, instead of stopping."
    )
    soft_label_batch_size: int = Field(default=64, ge=1, description="Sentences in a batch of the teacher's passes.")

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if (self.teacher is None) == (self.teacher_config is None):
            raise ValueError("give exactly one of teacher and teacher_config")
        if self.teacher_config is not None and not self.fine_tune_if_needed:
            raise ValueError("teacher_config describes an untrained teacher: set fine_tune_if_needed=true")
        return self
