"""Configuration of the sweep's benchmark."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from compaware.components.benchmark.config import MeasuringOptions
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import MAIN, Input, Interface, Output


class SweepBenchmarkConfig(ComponentConfig, MeasuringOptions):
    """Measure all members of a sweep side by side and name the one to serve.

    The members are measured in one pod, in turns, as benchmark does it. Each member runs in OpenVINO and onnxruntime,
    and its fastest form (runtime and precision) that keeps the accuracy of its most accurate form counts. The report
    shows the Pareto fronts of accuracy against latency and against size, and lists the members that failed with their
    reasons. Of the members that meet all limits, it recommends the fastest if a minimum accuracy is given, and
    otherwise the most accurate. Without any limit, it recommends the fastest within one point of the most accurate. If
    no member meets the limits, the report names the nearest one. The test split decides nothing.
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
                "Figures of each member, and of the recommended one under names that are the same in every sweep.",
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
        default=None, gt=0, description="Maximum median latency at the smallest batch size, in ms; 0: no limit."
    )
    max_size_mb: Annotated[float | None, MAIN] = Field(
        default=None, gt=0, description="Maximum size of the served files, in MB (10^6); 0: no limit."
    )
    min_accuracy: Annotated[float | None, MAIN] = Field(
        default=None, le=1, description="Minimum of the task's primary metric; 0: no limit."
    )
