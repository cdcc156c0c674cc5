"""Contents of `sweep.json`: the members of a sweep, their figures, and the recommended one."""

from pydantic import BaseModel

from compaware.components.sweep_benchmark.pareto import Constraint, Standing
from compaware.components.sweep_plan.grid import Member

SWEEP_FILE = "sweep.json"


class Sweep(BaseModel):
    """All of `sweep.json`.

    Attributes:
        constraint: The user's limits.
        chosen: Id of the recommended member's figures, or of the nearest member's if none meets the constraint.
        is_met: Whether the chosen member meets the constraint.
        standings: The members that were measured.
        members: All members, including those that failed.
    """

    constraint: Constraint
    chosen: str
    is_met: bool
    standings: list[Standing]
    members: list[Member]

    @property
    def failed(self) -> list[Member]:
        """Members that failed."""
        return [member for member in self.members if member.failure]

    def by_id(self, identifier: str) -> Standing:
        """Returns the member with this id."""
        return next(item for item in self.standings if item.id == identifier)
