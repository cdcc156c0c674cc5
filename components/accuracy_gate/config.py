"""Configuration of the accuracy gate."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig


class AccuracyGateConfig(ComponentConfig):
    """Stops a pipeline when the quantized model missed its accuracy criterion."""

    quantized: Path = Field(description="Folder of the quantized model, whose summary holds the criterion.")
    on_failure: Literal["fail", "warn"] = Field(
        default="fail", description="What to do if the criterion is missed: fail, or only warn."
    )
