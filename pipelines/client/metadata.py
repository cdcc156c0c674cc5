"""Reads metadata.yaml, which describes a component or pipeline in the format of kubeflow/pipelines-components."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import load_config

FILE_NAME = "metadata.yaml"
Version = Annotated[str, StringConstraints(pattern=r"^(==|>=|<=|~=)?\d+\.\d+\.\d+$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dependency(_Strict):
    """A requirement and its supported versions."""

    name: str
    version: Version


class Dependencies(_Strict):
    """Required parts of Kubeflow, including KFP, and external services."""

    kubeflow: list[Dependency]
    external_services: list[Dependency] = []

    @field_validator("kubeflow")
    @classmethod
    def _has_pipelines(cls, value: list[Dependency]) -> list[Dependency]:
        if not any(dependency.name == "Pipelines" for dependency in value):
            raise ValueError("it must name Pipelines")
        return value


class Metadata(_Strict):
    """Content of a metadata.yaml; kubeflow/pipelines-components accepts every file that is valid here.

    Attributes:
        name: Name of the folder.
        stability: alpha, beta or stable.
        dependencies: Required parts of Kubeflow and external services.
        tags: Search words.
        last_verified: Time of the last successful test.
    """

    name: str
    stability: Literal["alpha", "beta", "stable"]
    dependencies: Dependencies
    tags: list[Tag] = Field(min_length=1)
    last_verified: datetime = Field(alias="lastVerified")


def load_metadata(folder: Path) -> Metadata:
    """Reads the metadata.yaml in the folder of a component or pipeline.

    Raises:
        UserError: The file is missing or not valid.
    """
    file = folder / FILE_NAME
    try:
        metadata = load_config(Metadata, file, [])
    except UserError as error:
        raise UserError(f"{folder.name}/{FILE_NAME}: {error}") from error
    if metadata.name != folder.name:
        raise UserError(f"{folder.name}/{FILE_NAME}: 'name' is {metadata.name}: use the folder's name")
    return metadata
