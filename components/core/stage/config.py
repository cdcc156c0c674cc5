"""Configuration of a component: one typed object, read from a YAML or JSON file and `key=value` words."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from compaware.components.storage.places import Place


class ComponentConfig(BaseModel):
    """What every component's configuration has: where the result goes, and what to do with an older one."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    output: Path = Field(description="Folder that the finished artifact is put in.")
    existing_output: Literal["error", "resume", "overwrite"] = Field(
        default="error",
        description="What to do when the output, or a half-done run towards it, is already there: stop with an error, "
        "go on from its last checkpoint (a finished one is left as it is), or start anew.",
    )
    work: Path | None = Field(
        default=None, description="Folder for checkpoints and half-written files; `OUTPUT.work` when not given."
    )
    work_uri: Place | None = Field(
        default=None,
        description="URI (file, s3, minio) that checkpoints are kept at as well, so that other nodes can go on from "
        "them.",
    )

    def outputs(self) -> dict[str, Path]:
        """What the component writes besides its work: `output`, and the fields whose names end in `_output`."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name.endswith("output")}
        return {name: value for name, value in fields.items() if isinstance(value, Path)}
