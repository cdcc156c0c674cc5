"""Types that the components of a sweep exchange: students, branches and members."""

import re
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from compaware.components.core.base.summary import Score
from compaware.components.core.stage.options import Layers
from compaware.components.storage.path_or_uri import PathOrUri

NAME = r"^[a-z][a-z0-9_]*$"
_STUDENTS = ("student", "student_layers", "student_config")


class StudentChoice(BaseModel):
    """One student of a sweep."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(default=None, pattern=NAME, description="Short name; by default a generated one.")
    student: PathOrUri | None = Field(default=None, description="Hub id, folder or URI of the student.")
    student_layers: Layers | None = Field(default=None, description="Or encoder layers of the teacher to keep.")
    student_config: dict[str, Any] | None = Field(default=None, description="Or a configuration for new weights.")

    @model_validator(mode="after")
    def _one_student(self) -> Self:
        given = [name for name in _STUDENTS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give each student exactly one of {', '.join(_STUDENTS)}, not {len(given)} of them")
        return self

    @property
    def title(self) -> str:
        """The given name, or a generated one such as `layers_0_2_5`."""
        if self.name:
            return self.name
        if self.student_layers is not None:
            return "layers_" + "_".join(map(str, self.student_layers))
        source = (self.student or "").rstrip("/").rpartition("/")[
            2
        ] or f"fresh_{(self.student_config or {}).get('model_type')}"
        return "student_" + re.sub(r"[^a-z0-9]+", "_", source.lower()).strip("_")


class Branch(BaseModel):
    """One student at one temperature, with all members that are derived from it.

    Attributes:
        name: Prefix of the names of its members.
        temperature: Temperature of its distillation and of the later trainings.
        choice: The student.
        attempt: Number of earlier attempts that failed for a reason that another one may fix; see `attempts.py`.
        attempts: Folder or URI where that number is stored; None if it is not stored.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME)
    temperature: float = Field(gt=0)
    choice: StudentChoice
    attempt: int = Field(default=0, ge=0)
    attempts: str | None = None

    def member_name(self, sparsity: float, precision: str) -> str:
        """Returns the name of a member, such as `layers_0_5_t2_s80_int8`."""
        parts = [self.name, f"s{number(100 * sparsity)}" if sparsity else "", "int8" if precision == "int8" else ""]
        return "_".join(part for part in parts if part)


class Member(BaseModel):
    """One model of a sweep, trained or failed.

    Attributes:
        name: Its unique name in the sweep, also that of its folder.
        role: Its role in the benchmark.
        student: Name of its student.
        temperature: Temperature of the soft labels.
        target_sparsity: Requested fraction of zeros; 0 is dense.
        precision: fp32 or int8.
        failure: Why it failed, in one line; empty if it did not.
        metrics: Metrics of its last stage.
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
    """Returns a number as a part of a name, such as `2` or `1_5`."""
    return f"{value:.6g}".replace(".", "_")
