"""Configuration of the sweep's benchmark."""

from pathlib import Path

from pydantic import Field

from compaware.components.benchmark.config import MeasuringOptions
from compaware.components.core.stage.config import ComponentConfig


class SweepBenchmarkConfig(ComponentConfig, MeasuringOptions):
    """Measures all members of a sweep side by side and names the one to serve."""

    dataset: Path = Field(description="Folder of a Dataset artifact.")
    teacher: Path = Field(description="Folder of the teacher; FP32 in torch eager is the reference of all speeds.")
    branches: tuple[Path, ...] = Field(min_length=1, description="Folders that sweep_branch wrote.")
    max_latency_ms: float | None = Field(
        default=None, gt=0, description="Maximum median latency at the smallest batch size, in milliseconds."
    )
    max_size_mb: float | None = Field(default=None, gt=0, description="Maximum size of the served files, in MB (10^6).")
    min_accuracy: float | None = Field(default=None, description="Minimum of the task's primary metric.")
