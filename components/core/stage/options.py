"""Options that training components share; imports no torch, so that `--help` is fast."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from compaware.components.core.stage.interface import MAIN
from compaware.components.core.stage.training_arguments import refuse_arguments


def _check_layers(layers: list[int]) -> list[int]:
    if not layers or min(layers) < 0 or len(set(layers)) < len(layers):
        raise ValueError("it must name different layers of the teacher; 0 is the first")
    return layers


Layers = Annotated[list[int], AfterValidator(_check_layers)]


class CommonTrainingOptions(BaseModel):
    """Options that all trainings of a pipeline share."""

    max_length_tokens: Annotated[int, MAIN] = Field(
        default=128, ge=4, le=8192, description="Longer inputs are cut to this many tokens."
    )
    seed: Annotated[int, MAIN] = Field(default=42, ge=0, description="Seed of weights, shuffling and dropout.")
    batch_size: int = Field(default=32, ge=1, description="Sentences in a step of one process.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="Training precision; auto takes bf16 where hardware has it and its loss agrees.",
    )
    checkpoint_minutes: float = Field(
        default=5.0, ge=0, description="Minutes between checkpoints, besides the one after each evaluation."
    )
    calibrate: bool = Field(
        default=False,
        description="Calibrate the probabilities: fit a temperature on validation and save it in config.json as "
        "calibration_temperature. Labels stay the same; load.py of a published model prints the probabilities.",
    )
    training_arguments: dict[str, Any] = Field(
        default_factory=dict, description="Any other transformers.TrainingArguments, by name."
    )

    @model_validator(mode="after")
    def _refuse_arguments(self) -> Self:
        # A validator of the whole model, so that its message does not show the values.
        refuse_arguments(self.training_arguments)
        return self


class TrainingOptions(CommonTrainingOptions):
    """Options of a training."""

    epochs: float = Field(default=3.0, gt=0, description="Passes over the training split.")
    learning_rate: float = Field(default=5e-5, gt=0, lt=1, description="Peak learning rate of AdamW.")


class BackendOptions(BaseModel):
    """Choice of the training kernels."""

    backend: Literal["auto", "torch", "ipex"] = Field(
        default="auto",
        description="torch, or ipex (Intel Extension for PyTorch, in the image compaware/trainer-ipex or the extra "
        "`ipex`); auto takes ipex where it is installed and training is in BF16 on a CPU that has it in hardware.",
    )


class SoftLabelOptions(BaseModel):
    """Weight of a teacher's soft labels in the loss."""

    temperature: float = Field(default=2.0, gt=0, description="Softens the distributions of teacher and student.")
    alpha: float = Field(
        default=0.5, ge=0, le=1, description="Weight of the soft labels; the rest is the true labels'."
    )


class SharedTrainingOptions(CommonTrainingOptions, BackendOptions, SoftLabelOptions):
    """Options for all trainings of a pipeline; each takes those that it has."""
