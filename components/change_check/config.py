"""Configuration of the change_check component."""

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.storage.places import Place, PlaceOrNowhere


class ChangeCheckConfig(ComponentConfig):
    """Checks whether data, teacher, student or compaware have changed since the last model was published."""

    task: str = Field(default="sample", description="A built-in task or custom; see data_prep.")
    data: Place | None = Field(default=None, description="Your data: a file, a folder, a URI or a hub id.")
    hub_revision: str | None = Field(default=None, description="Branch, tag or commit of a data set on the hub.")
    teacher: Place | None = Field(default=None, description="Hub id, folder or URI of the teacher.")
    student: Place | None = Field(default=None, description="Hub id, folder or URI of the student.")
    publish_uri: PlaceOrNowhere = Field(
        default="", description="Path or URI that models are published at; empty if they are not."
    )
