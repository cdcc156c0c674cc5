"""What the parts of a sweep say to one another: which students are tried, and what became of each member."""

import re
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from compaware.components.core.base.summary import Score
from compaware.components.core.stage.options import Layers
from compaware.components.storage.places import Place

NAME = r"^[a-z][a-z0-9_]*$"
_STUDENTS = ("student", "student_layers", "student_config")


class StudentChoice(BaseModel):
    """One student of a sweep."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(default=None, pattern=NAME, description="Short name; made of the rest when not given.")
    student: Place | None = Field(default=None, description="Student by hub id, folder or URI.")
    student_layers: Layers | None = Field(default=None, description="Or these encoder layers of the teacher.")
    student_config: dict[str, Any] | None = Field(default=None, description="Or a configuration with fresh weights.")

    @model_validator(mode="after")
    def _one_student(self) -> Self:
        given = [name for name in _STUDENTS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give each student exactly one of {', '.join(_STUDENTS)}, not {len(given)} of them")
        return self

    @property
    def title(self) -> str:
        """The given name, or one such as `layers_0_2_5`."""
        if self.name:
            return self.name
        if self.student_layers is not None:
            return "layers_" + "_".join(map(str, self.student_layers))
        source = (self.student or "").rstrip("/").rpartition("/")[
            2
        ] or f"fresh_{(self.student_config or {}).get('model_type')}"
        return "student_" + re.sub(r"[^a-z0-9]+", "_", source.lower()).strip("_")


class Branch(BaseModel):
    """One student at one temperature: all members that are made of it share its training.

    Attributes:
        name: Begins the names of its members.
        temperature: Of its distillation, and of the trainings that follow.
        choice: The student.
        attempt: How many earlier tries failed for reasons that another one may mend; see `attempts`.
        attempts: The place where that is noted; None for nowhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME)
    temperature: float = Field(gt=0)
    choice: StudentChoice
    attempt: int = Field(default=0, ge=0)
    attempts: str | None = None

    def member_name(self, sparsity: float, precision: str) -> str:
        """Name of a member, such as `layers_0_5_t2_s80_int8`."""
        parts = [self.name, f"s{number(100 * sparsity)}" if sparsity else "", "int8" if precision == "int8" else ""]
        return "_".join(part for part in parts if part)


class Member(BaseModel):
    """One model of a sweep, made or not.

    Attributes:
        name: Its own in the sweep, and that of its folder.
        role: What it is to the teacher.
        student: Name of its student.
        temperature: Of the soft labels.
        target_sparsity: Asked for; 0 is dense.
        precision: fp32 or int8.
        failure: One line that says why it was not made; empty for a member that was.
        metrics: What its last stage measured.
    """

    name: str
    role: Literal["student", "sparse", "int8"]
    student: str
    temperature: float
    target_sparsity: float
    precision: str
    failure: str = ""
    metrics: dict[str, Score] = {}


def number(value: float) -> str:
    """A number as a part of a name: `2`, `1_5`."""
    return f"{value:.6g}".replace(".", "_")
