"""Configuration of the change_check component."""

from typing import Annotated, ClassVar

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import GIVEN, MAIN, Interface, Output
from compaware.components.data_prep.config import DataPrepConfig
from compaware.components.storage.places import Place, PlaceOrNowhere


class ChangeCheckConfig(ComponentConfig):
    """Look whether data, teacher, student or product have changed since the last model was published.

    Its output, a fingerprint of data and models, goes into data_prep. So KFP's cache, which knows only the names of
    what a task reads, sees that a file or a branch of the hub holds something else: the run is then done anew, and with
    nothing new every stage is taken from the cache. This task itself is never cached.
    """

    interface: ClassVar = Interface(
        "DATA",
        {
            "state": Output("Artifact", "What was found, as JSON.", field="output"),
            "metrics": Output("Metrics", "Whether anything changed, and what."),
        },
        returns=("fingerprint", "str", "Fingerprint of data, teacher and student."),
    )
    # Of these, the revision of a hub data set.
    shared: ClassVar = {"data_options": DataPrepConfig}

    task: Annotated[str, MAIN] = Field(default="sample", description="A built-in task or custom; see data_prep.")
    data: Annotated[Place | None, MAIN] = Field(
        default=None, description="Your data: a file, a folder, a URI or a hub id."
    )
    hub_revision: str | None = Field(default=None, description="Branch, tag or commit of a data set on the hub.")
    teacher: Annotated[Place | None, MAIN] = Field(default=None, description="Hub id, folder or URI of the teacher.")
    student: Annotated[Place | None, GIVEN] = Field(default=None, description="Hub id, folder or URI of the student.")
    publish_uri: Annotated[PlaceOrNowhere, MAIN] = Field(
        default="", description="Path or URI that models are published at; empty if they are not."
    )
