"""Configuration of the quantization_aware_training component."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import Input, Interface, Output
from compaware.components.core.stage.options import SharedTrainingOptions, SoftLabelOptions, TrainingOptions


class QuantizationAwareTrainingConfig(ComponentConfig, TrainingOptions, SoftLabelOptions):
    """Turn an FP32 classifier into INT8 files that OpenVINO and onnxruntime load, training where that is needed.

    Linear layers and embeddings become INT8. Post-training quantization is tried first; training with fake
    quantization follows where that misses the accuracy criterion, or always with mode=qat. The criterion is judged
    on the saved file, in a new process, against the FP32 model that came in. A model that misses it is delivered and
    marked as failed: accuracy_gate decides what that means.

    Post-training quantization is the work of neural-compressor: it calibrates the exported graph, and its
    accuracy-aware tuning goes on to another way of finding ranges only while the loss is larger than allowed. Two
    steps are torchao's, on the same graph: training, which neural-compressor no longer has for INT8, and embeddings,
    which it leaves in FP32.
    """

    interface: ClassVar = Interface(
        "LAUNCHER",
        {
            "quantized": Output(
                "Model", "The INT8 model: OpenVINO IR, ONNX, configuration and tokenizer.", field="output"
            ),
            "metrics": Output("Metrics", "Validation scores of the baseline and of each file, agreement and sizes."),
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
