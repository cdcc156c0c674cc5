"""Configuration of the quantization_aware_training component."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import Input, Interface, Output
from compaware.components.core.stage.options import SharedTrainingOptions, SoftLabelOptions, TrainingOptions


class QuantizationAwareTrainingConfig(ComponentConfig, TrainingOptions, SoftLabelOptions):
    """Convert an FP32 classifier to INT8 files for OpenVINO and onnxruntime, with training if needed.

    Linear layers and embeddings become INT8. Post-training quantization runs first; training with fake quantization
    follows if it misses the accuracy criterion, or always with mode=qat. The criterion compares the saved file, run in
    a new process, with the FP32 input model. A model that misses it is saved and marked as failed; accuracy_gate
    decides how to proceed.

    neural-compressor does the post-training quantization: it calibrates the exported graph with a second method only if
    the loss with the first one is larger than allowed. torchao does two steps on the same graph: training, which
    neural-compressor no longer supports for INT8, and embeddings, which it leaves in FP32.
    """

    interface: ClassVar = Interface(
        "LAUNCHER",
        {
            "quantized": Output(
                "Model", "The INT8 model: OpenVINO IR, ONNX, configuration and tokenizer.", field="output"
            ),
            "metrics": Output("Metrics", "Scores of the baseline and of each file, agreement and sizes."),
            "statistics": Output(
                "Markdown",
                "Operators by precision, and the scores of FP32, PTQ and QAT side by side.",
                fact="statistics_markdown",
            ),
        },
        job=True,
    )
    shared: ClassVar = {"training_options": SharedTrainingOptions}

    dataset: Annotated[Path, Input("Dataset")] = Field(description="Dataset folder that data_prep wrote.")
    model: Annotated[Path, Input("Model")] = Field(
        description="Folder of the FP32 classifier: fine-tuned, distilled or sparse."
    )
    soft_labels: Annotated[Path | None, Input("Artifact")] = Field(
        default=None,
        description="Soft labels that teacher_check wrote for this data; without them, the true labels are used.",
    )
    mode: Literal["auto", "ptq", "qat"] = Field(
        default="auto",
        description="ptq quantizes without training; qat trains with fake quantization; auto trains only if ptq "
        "misses the criterion. ptq runs in every mode, since it takes seconds and shows the gain of training.",
    )
    max_metric_loss: float = Field(
        default=0.005, ge=0, lt=1, description="Largest loss of the primary metric against the FP32 model, absolute."
    )
    max_relative_metric_loss: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="In place of `max_metric_loss`: largest loss as a fraction of the FP32 model's metric.",
    )
    gate_on: Literal["point", "interval"] = Field(
        default="point",
        description="What is compared with the allowed loss: point the measured loss on validation, interval the upper "
        "end of its 95 % interval. interval needs more rows; the result says how many.",
    )
    calibration_rows: int = Field(
        default=256, ge=8, description="Training sentences to calibrate the activation ranges of ptq on."
    )
    freeze_observers_fraction: float = Field(
        default=0.25, ge=0, lt=1, description="Fraction of the training, at its end, with fixed ranges."
    )
    aot_package: bool = Field(
        default=False,
        description="Also compile an AOTInductor package for this machine's CPU (needs a C++ compiler, takes minutes).",
    )
    epochs: float = Field(default=2.0, gt=0, description="Passes over the training split in qat.")
    learning_rate: float = Field(default=2e-5, gt=0, lt=1, description="Peak learning rate of AdamW in qat.")
