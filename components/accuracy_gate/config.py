"""Configuration of the accuracy gate."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import MAIN, Input, Interface, Output


class AccuracyGateConfig(ComponentConfig):
    """Stop the pipeline when the quantized model missed its accuracy criterion.

    The criterion was judged by quantization_aware_training against the FP32 model that came in. Put this task after the
    benchmark, so that the report is there even when the gate says no.
    """

    interface: ClassVar = Interface(
        "DATA",
        {
            "verdict": Output("Artifact", "The criterion with its figures, as JSON.", field="output"),
            "metrics": Output("Metrics", "Whether it passed, and the loss."),
        },
    )

    quantized: Annotated[Path, Input("Model")] = Field(
        description="Folder of the quantized model, whose summary holds the criterion."
    )
    on_failure: Annotated[Literal["fail", "warn"], MAIN] = Field(
        default="fail", description="What to do if the criterion is missed: fail, or only warn."
    )
