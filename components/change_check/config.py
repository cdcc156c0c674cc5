"""Configuration of the change_check component."""

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.storage.places import Place, PlaceOrNowhere


class ChangeCheckConfig(ComponentConfig):
    """Says whether data, teacher, student or product have changed since the last model was published."""

    task: str = Field(default="sample", description="A known task, or custom; as data_prep has it.")
    data: Place | None = Field(default=None, description="Own data: a file, a folder, a URI, or a hub id.")
    hub_revision: str | None = Field(default=None, description="Branch, tag or commit of a hub data set.")
    teacher: Place | None = Field(default=None, description="Teacher by hub id, folder or URI.")
    student: Place | None = Field(default=None, description="Student by hub id, folder or URI.")
    publish_uri: PlaceOrNowhere = Field(
        default="", description="Path or URI that models are published at; empty: nowhere."
    )
