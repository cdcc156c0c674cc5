"""Base class of the components' configurations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from compaware.components.core.stage.interface import Interface, merge_options
from compaware.components.storage.path_or_uri import PathOrUri


class ComponentConfig(BaseModel):
    """Fields of every component's configuration.

    Attributes:
        interface: How the component appears in Kubeflow Pipelines.
        shared: Mappings of options that several components of a pipeline take, and the models with their keys.
    """

    interface: ClassVar[Interface]
    shared: ClassVar[Mapping[str, type[BaseModel]]] = {}

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    output: Path = Field(description="Folder for the finished result.")
    existing_output: Literal["error", "resume", "overwrite"] = Field(
        default="error",
        description="What to do if the output or an unfinished run for it exists: stop with an error, resume from the "
        "last checkpoint (a finished output is kept), or overwrite it.",
    )
    work: Path | None = Field(
        default=None, description="Folder for checkpoints and unfinished files; `OUTPUT.work` by default."
    )
    work_uri: PathOrUri | None = Field(
        default=None,
        description="URI (file, s3, minio) where checkpoints are also saved, so that other nodes can resume from them.",
    )

    @classmethod
    def merged(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Returns the values with the keys of `options` and of the shared mappings merged into them.

        Raises:
            UserError: A key is unknown, or is set twice with different values.
        """
        return merge_options(cls, cls.shared, values)

    def outputs(self) -> dict[str, Path]:
        """Returns the paths that the component writes: `output`, and the fields whose names end in `_output`."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name.endswith("output")}
        return {name: value for name, value in fields.items() if isinstance(value, Path)}
