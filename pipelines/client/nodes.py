"""Finds the Argo nodes of a run, which KFP's API returns without their ids and names.

The API returns each node of the run's Workflow as a task: its display name, such as `executor(0)`, which is not unique,
and the ids of its children. An id is `WORKFLOW-NUMBER`, where the number is the FNV-1a hash of the node's full name
(`NodeID` in Argo's workflow_types.go). A full name consists of the parent's full name and the display name, so the full
names can be derived from the display names.
"""

from collections.abc import Iterable
from typing import Any

_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


class Nodes:
    """Full names of the nodes of a run.

    Attributes:
        workflow: Name of the run's Workflow; empty if no node has started.
        names: Full name of each node by its id.
    """

    def __init__(self, tasks: Iterable[Any]):
        tasks = list(tasks)
        ids = {child.pod_name for task in tasks for child in task.child_tasks or [] if child.pod_name}
        self.workflow = next(iter(ids)).rpartition("-")[0] if ids else ""
        self.names: dict[str, str] = {}
        if ids:
            self._find(ids, {task.display_name for task in tasks if task.display_name})
        self._ids = {name: node_id for node_id, name in self.names.items()}

    def ending(self, ending: str) -> list[str]:
        """Returns the full names with this ending."""
        return [name for name in self._ids if name.endswith(ending)]

    def attempts(self, name: str) -> list[str]:
        """Returns the ids of a node's attempts: `NAME(0)`, `NAME(1)` and so on, or NAME on servers without retries."""
        if f"{self.workflow}(0)" not in self._ids:
            return [self._ids[name]] if name in self._ids else []
        attempts: list[str] = []
        while (attempt := f"{name}({len(attempts)})") in self._ids:
            attempts.append(self._ids[attempt])
        return attempts

    def _find(self, ids: set[str], displays: set[str]) -> None:
        below: dict[str, list[tuple[str, str]]] = {}
        for child in displays:
            parent, ending = _below(child)
            if parent not in displays:
                # It is a task of a DAG, and it is not known of which one.
                parent, ending = "", f".{child}"
            below.setdefault(parent, []).append((child, ending))
        queue = [(self.workflow, self.workflow, _fnv1a(self.workflow))]
        while queue:
            name, display, state = queue.pop()
            for child, ending in [*below.get("", []), *below.get(display, [])]:
                number = _fnv1a(ending, state)
                node_id = f"{self.workflow}-{number}"
                if node_id in ids and node_id not in self.names:
                    self.names[node_id] = name + ending
                    queue.append((name + ending, child, number))


def _below(display: str) -> tuple[str, str]:
    """Returns the node that a node is below, and what the name adds: an attempt, an iteration or an exit task."""
    if display.endswith(")"):
        parent, mark, rest = display.rpartition("(")
        return parent, mark + rest
    parent, mark, rest = display.rpartition(".")
    return parent, mark + rest


def _fnv1a(text: str, state: int = _FNV_OFFSET) -> int:
    for byte in text.encode():
        state = ((state ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return state
