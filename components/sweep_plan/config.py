"""Configuration of the sweep's plan."""

from typing import Self

from pydantic import Field, PositiveFloat, model_validator

from compaware.components.core.stage.config import ComponentConfig
from compaware.components.sweep_plan.grid import Branch, StudentChoice, number


class SweepPlanConfig(ComponentConfig):
    """Lists the branches of a sweep: each student at each temperature."""

    students: list[StudentChoice] = Field(
        min_length=1,
        description="Students, each with one of student, student_layers and student_config, and an optional name.",
    )
    temperatures: list[PositiveFloat] = Field(
        default=[2.0], min_length=1, description="Temperatures that each student is trained at."
    )

    run_id: str = Field(default="", description="Id of the pipeline's run.")
    plan_uri: str = Field(
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
