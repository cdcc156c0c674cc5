"""Configuration of the quantization_aware_training component."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import SoftLabelOptions, TrainingOptions


class QuantizationAwareTrainingConfig(ComponentConfig, TrainingOptions, SoftLabelOptions):
    """Turns an FP32 classifier into INT8 files, with training where quantizing alone loses too much."""

    dataset: Path = Field(description="Dataset folder that data_prep wrote.")
    model: Path = Field(description="Folder of the FP32 classifier: fine-tuned, distilled or sparse.")
    soft_labels: Path | None = Field(
        default=None, description="Soft labels that teacher_check wrote for this data; without, true labels alone."
    )
    mode: Literal["auto", "ptq", "qat"] = Field(
        default="auto",
        description="ptq quantizes without training; qat trains with fake quantization; auto trains only where ptq "
        "misses the criterion. ptq is tried in every mode, since it costs seconds and shows what training is worth.",
    )
    max_metric_loss: float = Field(
        default=0.005, ge=0, lt=1, description="Largest loss of the primary metric against the FP32 model, absolute."
    )
    max_relative_metric_loss: float | None = Field(
        default=None, ge=0, lt=1, description="In its place: largest loss as a part of the FP32 model's metric."
    )
    calibration_rows: int = Field(
        default=256, ge=8, description="Training sentences that ptq takes activation ranges from."
    )
    freeze_observers_fraction: float = Field(
        default=0.25, ge=0, lt=1, description="Last part of the training, in which ranges stand still."
    )
    aot_package: bool = Field(
        default=False,
        description="Also compile an AOTInductor package for this machine's CPU (needs a C++ compiler, takes minutes).",
    )
    epochs: float = Field(default=2.0, gt=0, description="Passes over the training split, where qat trains.")
    learning_rate: float = Field(default=2e-5, gt=0, lt=1, description="Peak learning rate of AdamW, where qat trains.")
