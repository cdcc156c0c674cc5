"""Configuration of the change_check component."""

from typing import Annotated, ClassVar

from pydantic import Field

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import GIVEN, MAIN, OUTPUT_URI, Interface, Output
from compaware.components.data_prep.config import DataPrepConfig
from compaware.components.storage.path_or_uri import OptionalPathOrUri, PathOrUri


class ChangeCheckConfig(ComponentConfig):
    """Check whether data, teacher, student or compaware have changed since the last model was published.

    The output, a fingerprint of data and models, is an input of data_prep. KFP's cache only compares names, so it does
    not notice that the content of a file or of a branch on the hub has changed. With the fingerprint, stages run again
    for changed content, and come from the cache otherwise. If the hub does not answer, the commits of the last run are
    used. This task is never cached.
    """

    interface: ClassVar = Interface(
        "DATA",
        {
            "state": Output("Artifact", "The fingerprints and what changed, as JSON.", field="output"),
            "metrics": Output("Metrics", "Whether anything changed, and which inputs."),
        },
        returns=("fingerprint", "str", "Fingerprint of data, teacher and student."),
    )
    # From these, it uses hub_revision.
    shared: ClassVar = {"data_options": DataPrepConfig}

    task: Annotated[str, MAIN] = Field(default="sample", description="A built-in task or custom; see data_prep.")
    data: Annotated[PathOrUri | None, MAIN] = Field(
        default=None, description="Your data: a file, a folder, a URI or a hub id."
    )
    hub_revision: str | None = Field(default=None, description="Branch, tag or commit of a data set on the hub.")
    teacher: Annotated[PathOrUri | None, MAIN] = Field(
        default=None, description="Hub id, folder or URI of the teacher."
    )
    student: Annotated[PathOrUri | None, GIVEN] = Field(
        default=None, description="Hub id, folder or URI of the student."
    )
    publish_uri: Annotated[OptionalPathOrUri, MAIN] = Field(
        default="", description="Path or URI where models are published; empty if none are."
    )
    run_id: Annotated[str, GIVEN] = Field(default="", description="Id of the pipeline's run.")
    state_uri: Annotated[str, OUTPUT_URI] = Field(
        default="",
        description="URI of the state. The hub's commits are stored in the folder above that of the run, which all "
        "runs of the pipeline share.",
    )
