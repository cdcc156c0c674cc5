"""Configuration of the accuracy gate."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import MAIN, Input, Interface, Output


class AccuracyGateConfig(ComponentConfig):
    """Stop the pipeline if the quantized model misses its accuracy criterion.

    quantization_aware_training evaluated the criterion against its FP32 input. Run this task after the benchmark, so
    that the report exists even if the gate fails.
    """

    interface: ClassVar = Interface(
        "DATA",
        {
            "verdict": Output("Artifact", "The criterion with its figures, as JSON.", field="output"),
            "metrics": Output("Metrics", "Whether the model passed, and its loss."),
        },
    )

    quantized: Annotated[Path, Input("Model")] = Field(
        description="Folder of the quantized model, whose summary holds the criterion."
    )
    on_failure: Annotated[Literal["fail", "warn"], MAIN] = Field(
        default="fail", description="What to do if the criterion is missed: fail, or only warn."
    )
