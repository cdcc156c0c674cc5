"""metadata.yaml: what a catalogue says of a component or a pipeline, in the form of kubeflow/pipelines-components."""

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
    """Something that must be there, and the versions that do."""

    name: str
    version: Version


class Dependencies(_Strict):
    """Parts of Kubeflow, KFP among them, and services outside it."""

    kubeflow: list[Dependency]
    external_services: list[Dependency] = []

    @field_validator("kubeflow")
    @classmethod
    def _has_pipelines(cls, value: list[Dependency]) -> list[Dependency]:
        if not any(dependency.name == "Pipelines" for dependency in value):
            raise ValueError("it must name Pipelines")
        return value


class Metadata(_Strict):
    """The content of one metadata.yaml; the other catalogue accepts whatever is valid here.

    Attributes:
        name: Of the folder.
        stability: alpha, beta or stable.
        dependencies: What it needs.
        tags: Words to search for.
        last_verified: When it was last seen to work.
    """

    name: str
    stability: Literal["alpha", "beta", "stable"]
    dependencies: Dependencies
    tags: list[Tag] = Field(min_length=1)
    last_verified: datetime = Field(alias="lastVerified")


def load_metadata(folder: Path) -> Metadata:
    """Reads the metadata.yaml of a component's or pipeline's folder.

    Raises:
        UserError: It is not there, or does not hold what the catalogue needs.
    """
    file = folder / FILE_NAME
    try:
        metadata = load_config(Metadata, file, [])
    except UserError as error:
        raise UserError(f"{folder.name}/{FILE_NAME}: {error}") from error
    if metadata.name != folder.name:
        raise UserError(f"{folder.name}/{FILE_NAME}: 'name' is {metadata.name}, not its folder's")
    return metadata
