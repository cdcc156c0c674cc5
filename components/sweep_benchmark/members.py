"""The members of a sweep: those to measure, and those that could not be made."""

from collections.abc import Sequence
from pathlib import Path

from compaware.components.benchmark.config import Candidate, Runtime
from compaware.components.core.errors import UserError
from compaware.components.core.summary import Summary
from compaware.components.core.sweep import Member

# Those that serve; torch eager is the teacher's alone, as the reference of all speeds.
_SERVING: tuple[Runtime, ...] = ("openvino", "onnxruntime")


def read_members(branches: Sequence[Path]) -> tuple[list[Member], list[Candidate]]:
    """Reads what the branches of a sweep made.

    Args:
        branches: Folders that sweep_branch wrote.

    Returns:
        All members, and the candidates of the benchmark that those are which were made.

    Raises:
        UserError: None was made.
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
        raise UserError(f"no member of the sweep could be made; {members[0].name} failed in {members[0].failure}")
    return members, candidates
