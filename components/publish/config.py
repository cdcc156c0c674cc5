"""Configuration of the publish component."""

from pathlib import Path

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.storage.places import PlaceOrNowhere


class PublishConfig(ComponentConfig):
    """Publishes a model below a prefix, unless it is worse than the one that is published there."""

    publish_uri: PlaceOrNowhere = Field(
        default="",
        description="Path or URI (file, s3, minio) to publish below, of this model only; empty: nowhere.",
    )
    dataset: Path = Field(description="Dataset folder that data_prep wrote.")
    teacher: Path = Field(description="Teacher folder that teacher_check wrote.")
    model: Path = Field(description="Folder of the model to publish: a student, a sparse or an INT8 model.")
    results: Path = Field(description="Folder that benchmark wrote.")
    student: Path | None = Field(
        default=None, description="Folder of the student that an INT8 model was quantized from."
    )
    changes: Path | None = Field(default=None, description="Folder that change_check wrote.")
    max_loss_to_published_points: float = Field(
        default=0.5,
        ge=0,
        description="Points (hundredths) of the primary metric that the model may lose against the published one, both "
        "measured on the validation split.",
    )
    max_length_tokens: int = Field(default=128, ge=4, le=8192, description="Longer inputs are cut.")
    version: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][\w.-]{0,99}$",
        description="Name of the version; by default the time in UTC and the start of the model's fingerprint.",
    )
    run_id: str = Field(default="", description="Id of the pipeline's run for the provenance.")
