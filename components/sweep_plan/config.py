"""Configuration of the sweep's plan."""

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, PositiveFloat, model_validator

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import GIVEN, MAIN, OUTPUT_URI, Input, Interface, Output
from compaware.components.sweep_plan.grid import Branch, StudentChoice, number


class SweepPlanConfig(ComponentConfig):
    """List the branches of a sweep: each student at each temperature.

    Sparsities and precisions are not part of the list, because members that differ only in these share a student, which
    is trained once (see sweep_branch). If a member of a branch failed in an earlier run for a reason other than its
    options, the number of the branch's attempts changes, so that KFP does not take the branch from its cache.
    """

    interface: ClassVar = Interface(
        "DATA",
        {
            "plan": Output("Artifact", "The plan as JSON.", field="output"),
        },
        returns=("branches", "List[dict]", "One mapping for each student at each temperature."),
    )

    dataset: Annotated[Path | None, Input("Dataset")] = Field(
        default=None, description="Dataset folder that data_prep wrote; the sample has default students."
    )
    students: Annotated[list[StudentChoice], MAIN] = Field(
        min_length=1,
        description="Students, each with one of student, student_layers and student_config, and an optional name.",
    )
    temperatures: Annotated[list[PositiveFloat], MAIN] = Field(
        default=[2.0], min_length=1, description="Temperatures that each student is trained at."
    )

    run_id: Annotated[str, GIVEN] = Field(default="", description="Id of the pipeline's run.")
    plan_uri: Annotated[str, OUTPUT_URI] = Field(
        default="",
        description="URI of the plan; attempts are stored below the part before the run's id, which all runs share.",
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [branch.name for branch in self.branches]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two branches of the sweep are called {twice[0]}: give each student a different name")
        return self

    @property
    def branches(self) -> list[Branch]:
        """Each student at each temperature."""
        return [
            Branch(name=f"{student.title}_t{number(temperature)}", temperature=temperature, choice=student)
            for student in self.students
            for temperature in self.temperatures
        ]
