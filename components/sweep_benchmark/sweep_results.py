"""What `sweep.json` holds: every member of a sweep, where it stands, and which one is recommended."""

from pydantic import BaseModel

from compaware.components.sweep_benchmark.pareto import Constraint, Standing
from compaware.components.sweep_plan.grid import Member

SWEEP_FILE = "sweep.json"


class Sweep(BaseModel):
    """All of `sweep.json`.

    Attributes:
        constraint: What was asked for.
        chosen: Id of the recommended member's figures, or of the nearest where none meets the constraint.
        is_met: Whether it meets the constraint.
        standings: The members that were made and measured.
        members: All members, with what became of them.
    """

    constraint: Constraint
    chosen: str
    is_met: bool
    standings: list[Standing]
    members: list[Member]

    @property
    def failed(self) -> list[Member]:
        """Members that were not made."""
        return [member for member in self.members if member.failure]

    def by_id(self, identifier: str) -> Standing:
        """The member with this id."""
        return next(item for item in self.standings if item.id == identifier)
