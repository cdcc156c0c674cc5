"""Configuration of the publish component."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import GIVEN, MAIN, Input, Interface, Output
from compaware.components.storage.path_or_uri import OptionalPathOrUri


class PublishConfig(ComponentConfig):
    """Publish a model below a prefix, unless it is worse than the published one.

    A version is a folder with the model, a model card, the report, its provenance, a script that loads it without this
    package, and a KServe InferenceService. latest.json at the prefix points to the version and is written last, so that
    it never points to an incomplete one. If a model is already published, both are evaluated on the same validation
    split, each in the runtime that serves it on this CPU. A model that is worse by more than
    `max_loss_to_published_points` is refused with one log line, and the task succeeds. Scores on a labelled test split
    are reported only; they decide nothing. history.json lists published and refused models. If MODEL_REGISTRY_URL is
    set, the version is registered in the Kubeflow Model Registry. This task is never cached.
    """

    interface: ClassVar = Interface(
        "BENCHMARK",
        {
            "record": Output("Artifact", "The decision, as JSON.", field="output"),
            "history_html": Output("HTML", "All versions at the prefix.", file="history.html"),
            "history_markdown": Output("Markdown", "All versions at the prefix, as Markdown.", file="history.md"),
            "metrics": Output("Metrics", "Whether it was published, its metric, and the metric of the version before."),
        },
    )

    publish_uri: Annotated[OptionalPathOrUri, MAIN] = Field(
        default="", description="Path or URI (file, s3, minio) to publish below, of this model only; empty: nowhere."
    )
    dataset: Annotated[Path, Input("Dataset")] = Field(description="Dataset folder that data_prep wrote.")
    teacher: Annotated[Path, Input("Model")] = Field(description="Teacher folder that teacher_check wrote.")
    model: Annotated[Path, Input("Model")] = Field(
        description="Folder of the model to publish: a student, a sparse or an INT8 model."
    )
    results: Annotated[Path, Input("Artifact")] = Field(description="Folder that benchmark wrote.")
    student: Annotated[Path | None, Input("Model")] = Field(
        default=None, description="Folder of the student that an INT8 model was quantized from."
    )
    changes: Annotated[Path | None, Input("Artifact")] = Field(
        default=None, description="Folder that change_check wrote."
    )
    max_loss_to_published_points: float = Field(
        default=0.5,
        ge=0,
        description="Points (hundredths) of the primary metric that the model may lose against the published one, both "
        "measured on the validation split.",
    )
    max_length_tokens: Annotated[int, MAIN] = Field(default=128, ge=4, le=8192, description="Longer inputs are cut.")
    version: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][\w.-]{0,99}$",
        description="Name of the version; by default the time in UTC and the start of the model's fingerprint.",
    )
    run_id: Annotated[str, GIVEN] = Field(
        default="", description="Id of the pipeline's run for the provenance and the Model Registry."
    )
