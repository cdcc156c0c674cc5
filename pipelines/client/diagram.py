"""Draws a compiled pipeline as a Mermaid flowchart, which GitHub renders."""

from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import Any

from compaware.pipelines.client import catalog


def flowchart(pipeline_spec: dict[str, Any]) -> str:
    """Returns the flowchart of a compiled pipeline: its tasks, and the artifacts that they hand to the next ones.

    Edges that follow from others are left out. For example, every task that comes after teacher_check also comes after
    data_prep.
    """
    return "\n".join(["flowchart LR", *_lines(pipeline_spec, pipeline_spec["root"], "  ")])


def _lines(spec: dict[str, Any], component: dict[str, Any], indent: str) -> Iterator[str]:
    tasks = component["dag"]["tasks"]
    before = {name: sorted(task.get("dependentTasks", [])) for name, task in tasks.items()}
    for name in TopologicalSorter(before).static_order():
        inner = spec["components"][tasks[name]["componentRef"]["name"]]
        if "dag" in inner:
            yield f'{indent}subgraph {_id(name)}["in parallel"]'
            yield from _lines(spec, inner, f"{indent}  ")
            yield f"{indent}end"
        else:
            # One word a line keeps the boxes narrow: GitHub scales a wide chart down.
            yield f"{indent}{_id(name)}[{catalog.component_of(tasks[name]).replace('_', '<br>')}]"
        implied = set().union(*(_ancestors(before, other) for other in before[name]))
        for other in before[name]:
            if other not in implied:
                yield f"{indent}{_id(other)} -->{_label(tasks[name], other)} {_id(name)}"


def _ancestors(before: dict[str, list[str]], name: str) -> set[str]:
    return set(before[name]).union(*(_ancestors(before, other) for other in before[name]))


def _label(task: dict[str, Any], producer: str) -> str:
    """Returns the names of the producer's artifacts that a task takes, as the label of an edge."""
    sources = (entry.get("taskOutputArtifact", {}) for entry in task.get("inputs", {}).get("artifacts", {}).values())
    taken = {source["outputArtifactKey"] for source in sources if source.get("producerTask") == producer}
    # KFP calls an output of a loop `pipelinechannel--<task>-<output>`.
    names = sorted(key.rpartition("-")[2].replace("_", " ") for key in taken)
    return f"|{'<br>'.join(names)}|" if names else ""


def _id(name: str) -> str:
    return name.replace("-", "_")
