"""Configuration of the sweep's benchmark."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from compaware.components.benchmark.config import MeasuringOptions
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import MAIN, Input, Interface, Output


class SweepBenchmarkConfig(ComponentConfig, MeasuringOptions):
    """Measure all members of a sweep side by side and name the one to serve.

    They are measured as benchmark measures, in one pod and taking turns; each member in OpenVINO and onnxruntime, of
    which its faster one counts. The report shows the Pareto fronts of accuracy against latency and against size, and
    the members that could not be made or measured, with their reasons. Of the members that meet all limits, the fastest
    is recommended where an accuracy is asked for, else the most accurate; without any limit, the fastest within a point
    of the most accurate. Where none meets them, the report says which is nearest.
    """

    interface: ClassVar = Interface(
        "BENCHMARK",
        {
            "results": Output(
                "Artifact", "Folder with benchmark.json, sweep.json, report.html and report.md.", field="output"
            ),
            "report_html": Output("HTML", "The report.", file="report.html"),
            "report_markdown": Output("Markdown", "The report as Markdown.", file="report.md"),
            "metrics": Output(
                "Metrics",
                "Each member's figures, and the recommended one's under names that are the same in every sweep.",
            ),
        },
    )

    dataset: Annotated[Path, Input("Dataset")] = Field(description="Folder of a Dataset artifact.")
    teacher: Annotated[Path, Input("Model")] = Field(
        description="Folder of the teacher; FP32 in torch eager is the reference of all speeds."
    )
    branches: Annotated[tuple[Path, ...], Input("Artifact")] = Field(
        min_length=1, description="Folders that sweep_branch wrote."
    )
    max_latency_ms: Annotated[float | None, MAIN] = Field(
        default=None, gt=0, description="Maximum median latency at the smallest batch size, in milliseconds."
    )
    max_size_mb: Annotated[float | None, MAIN] = Field(
        default=None, gt=0, description="Maximum size of the served files, in MB (10^6)."
    )
    min_accuracy: Annotated[float | None, MAIN] = Field(
        default=None, description="Minimum of the task's primary metric."
    )
