"""Configuration of the teacher_check component."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import MAIN, Input, Interface, Output
from compaware.components.core.stage.options import BackendOptions, SharedTrainingOptions, TrainingOptions
from compaware.components.storage.path_or_uri import PathOrUri


class TeacherCheckConfig(ComponentConfig, TrainingOptions, BackendOptions):
    """Check that a teacher is fine-tuned for the data, and save its soft labels.

    The teacher's labels are matched with the data's by name, and its outputs are put in the data's order. On the
    validation split it must be clearly better than predictions that ignore the text. Otherwise the task stops and says
    what to change, or fine-tunes the teacher if `fine_tune_if_needed` is set. Its logits for the training split are
    saved once, so that no training step runs the teacher again. On a CPU with BF16 hardware they are computed in BF16
    if they agree with FP32, unless `precision` is fp32.
    """

    interface: ClassVar = Interface(
        "LAUNCHER",
        {
            "model": Output("Model", "The teacher, its labels in the data's order.", field="output"),
            "soft_labels": Output(
                "Artifact",
                "The teacher's logits for the training split, tied to this data.",
                field="soft_labels_output",
            ),
            "metrics": Output("Metrics", "Scores of the teacher and of the best predictions that ignore the text."),
            "confusion_matrix": Output(
                "ClassificationMetrics",
                "Confusion matrix of the validation split; for two classes, the ROC curve, too.",
            ),
        },
        job=True,
    )
    shared: ClassVar = {"training_options": SharedTrainingOptions}

    soft_labels_output: Path = Field(description="Folder to save the teacher's logits for the training split in.")
    dataset: Annotated[Path, Input("Dataset")] = Field(description="Dataset folder that data_prep wrote.")
    teacher: Annotated[PathOrUri | None, MAIN] = Field(
        default=None, description="Teacher by hub id, folder or URI (file, s3, minio)."
    )
    teacher_config: dict[str, Any] | None = Field(
        default=None,
        description="In place of `teacher`: a transformers configuration (with model_type), for training from scratch.",
    )
    tokenizer: PathOrUri | None = Field(
        default=None,
        description="Tokenizer by hub id or folder; by default the teacher's own, or for a teacher from scratch a "
        "WordPiece tokenizer trained on the training split.",
    )
    vocabulary_size: int = Field(
        default=2000, ge=100, description="Vocabulary size of a tokenizer that is trained on the training split."
    )
    label_order: list[str] | None = Field(
        default=None,
        description="The teacher's label names in the order of the data's labels, if the names do not match.",
    )
    min_score: float | None = Field(
        default=None,
        description="Minimum validation score (primary metric); by default, clearly above predictions that ignore "
        "the text.",
    )
    fine_tune_if_needed: bool = Field(
        default=False, description="Fine-tune a teacher whose score is too low, instead of stopping."
    )
    soft_label_batch_size: int = Field(
        default=64, ge=1, description="Batch size of the teacher for evaluation and soft labels."
    )

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if (self.teacher is None) == (self.teacher_config is None):
            raise ValueError("give exactly one of teacher and teacher_config")
        if self.teacher_config is not None and not self.fine_tune_if_needed:
            raise ValueError("teacher_config describes an untrained teacher: set fine_tune_if_needed=true")
        return self
