"""Reads the members of a sweep and marks those that could not be measured."""

from collections.abc import Sequence
from pathlib import Path

from compaware.components.benchmark.config import Candidate
from compaware.components.benchmark.results import Benchmark
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.runtimes.formats import RuntimeName
from compaware.components.sweep_plan.grid import Member

# Runtimes for serving. Only the teacher also runs in torch eager, as the reference of all speeds.
_SERVING: tuple[RuntimeName, ...] = ("openvino", "onnxruntime")


def read_members(branches: Sequence[Path]) -> tuple[list[Member], list[Candidate]]:
    """Reads the members of all branches.

    Args:
        branches: Folders that sweep_branch wrote.

    Returns:
        All members, and a candidate of the benchmark for each that did not fail.

    Raises:
        UserError: All members failed.
    """
    members, candidates = [], []
    for branch in branches:
        for facts in Summary.load(branch).facts["members"]:
            member = Member.model_validate(facts)
            members.append(member)
            if not member.failure:
                folder = branch / member.name
                candidates.append(Candidate(name=member.name, role=member.role, folder=folder, runtimes=_SERVING))
    if not candidates:
        raise UserError(f"all members of the sweep failed; {members[0].name} failed in {members[0].failure}")
    return members, candidates


def mark_unmeasured(members: Sequence[Member], benchmark: Benchmark) -> list[Member]:
    """Returns the members; the reason why one could not be measured becomes its failure.

    Raises:
        UserError: No member was measured.
    """
    measured = {item.name for item in benchmark.candidates}
    reasons = {item.name: item.reason for item in benchmark.unmeasured}
    marked = [
        member if member.failure or member.name in measured else _failed(member, f"benchmark: {reasons[member.name]}")
        for member in members
    ]
    if all(member.failure for member in marked):
        raise UserError(f"no member of the sweep could be measured; {marked[0].name} failed in {marked[0].failure}")
    return marked


def _failed(member: Member, failure: str) -> Member:
    return member.model_copy(update={"failure": failure})
