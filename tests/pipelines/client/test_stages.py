"""Stages of loops, exit tasks, retries and cached results, whose nodes follow Argo's and KFP's sources.

The names are those of `processItem` and `GenerateOnExitNodeName` in Argo's controller and of KFP's argocompiler
(dag.go); no run of these kinds is recorded.
"""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from compaware.components.core.base.errors import UserError
from compaware.pipelines.client.stages import Pipeline, find_stages, select

WORKFLOW = "compaware-sweep-x7k2p"
START = datetime(2026, 11, 30, 10, tzinfo=UTC)


def node_id(name: str) -> str:
    value = 0x811C9DC5
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return f"{WORKFLOW}-{value}"


def task(name: str, *children: str, state: str | None = "SUCCEEDED") -> SimpleNamespace:
    """A node of the Workflow as the server returns it; a child `+x` has the node's name before x."""
    full = [name + child.removeprefix("+") if child.startswith("+") else child for child in children]
    return SimpleNamespace(
        display_name=name.rpartition(".")[2] if not name.endswith(".onExit") else ".".join(name.split(".")[-2:]),
        state=state,
        start_time=START,
        end_time=START,
        child_tasks=[SimpleNamespace(pod_name=node_id(child)) for child in full],
    )


def run(*tasks: SimpleNamespace, state: str = "SUCCEEDED") -> Any:
    return SimpleNamespace(state=state, state_history=[], run_details=SimpleNamespace(task_details=list(tasks)))


def chain(name: str, *more: str, attempts: int = 1) -> list[SimpleNamespace]:
    """The nodes of a task of the user, from its driver to its pods."""
    dag = f"{name}(0)"
    pods = [f"{dag}.executor({attempt})" for attempt in range(attempts)]
    return [
        task(f"{name}-driver", "+(0)"),
        task(f"{name}-driver(0)", name),
        task(name, "+(0)"),
        task(dag, f"{dag}.executor", *more),
        task(f"{dag}.executor", *pods),
        *(task(pod) for pod in pods),
    ]


ROOT = f"{WORKFLOW}(0).root(0)"
ABOVE = [
    task(WORKFLOW, "+(0)"),
    task(f"{WORKFLOW}(0)", "+.root"),
    task(f"{WORKFLOW}(0).root", "+(0)"),
]


def test_each_iteration_of_a_loop_is_a_stage():
    loop = f"{ROOT}.for-loop-1(0)"
    iterations = [f"{loop}.iteration-iterations({index}:{index})" for index in (0, 1)]
    items = [f"{iteration}(0).iteration-item" for iteration in iterations]
    tasks = [
        *ABOVE,
        task(ROOT, "+.sweep-plan-driver"),
        *chain(f"{ROOT}.sweep-plan", f"{ROOT}.for-loop-1"),
        task(f"{ROOT}.for-loop-1", "+(0)"),
        task(loop, "+.iteration-driver"),
        task(f"{loop}.iteration-driver", "+(0)"),
        task(f"{loop}.iteration-driver(0)", f"{loop}.iteration-iterations"),
        task(f"{loop}.iteration-iterations", *iterations),
    ]
    for iteration, item in zip(iterations, items, strict=True):
        tasks += [
            task(iteration, "+(0)"),
            task(f"{iteration}(0)", f"{item}-driver"),
            task(f"{item}-driver", "+(0)"),
            task(f"{item}-driver(0)", item),
            task(item, "+(0)"),
            task(f"{item}(0)", "+.sweep-branch-driver"),
            *chain(f"{item}(0).sweep-branch"),
        ]
    stages = find_stages(run(*tasks), Pipeline("sweep", ("sweep-plan", "sweep-branch", "sweep-benchmark")))
    assert [(stage.name, stage.state) for stage in stages] == [
        ("sweep-plan", "succeeded"),
        ("sweep-branch 1", "succeeded"),
        ("sweep-branch 2", "succeeded"),
        ("sweep-benchmark", "not run"),
    ]
    assert [stage.nodes for stage in stages[1:3]] == [
        (node_id(f"{item}(0).sweep-branch(0).executor(0)"),) for item in items
    ]
    assert [stage.name for stage in select(stages, "sweep_branch")] == ["sweep-branch 1", "sweep-branch 2"]
    assert [stage.name for stage in select(stages, "sweep-branch 2")] == ["sweep-branch 2"]
    with pytest.raises(UserError, match="started stages: sweep-plan, sweep-branch 1, sweep-branch 2"):
        select(stages, "sweep-benchmark")


def test_an_exit_task_is_a_stage_and_a_failed_part_of_the_pipeline_is_named():
    handler = f"{ROOT}.exit-handler-1"
    tasks = [
        *ABOVE,
        task(ROOT, f"{handler}-driver"),
        task(f"{handler}-driver", "+(0)", state="FAILED"),
        task(f"{handler}-driver(0)", handler, state="FAILED"),
        task(handler, f"{handler}.onExit", state=None),
        task(f"{handler}.onExit", "+(0)"),
        task(f"{handler}.onExit(0)", "+.notify-driver"),
        *chain(f"{handler}.onExit(0).notify"),
    ]
    stages = find_stages(run(*tasks, state="FAILED"), Pipeline("distillation", ("data-prep", "notify")))
    assert [(stage.name, stage.state) for stage in stages] == [
        ("data-prep", "not run"),
        ("notify", "succeeded"),
        ("exit-handler-1", "failed"),
    ]
    assert stages[1].nodes == (node_id(f"{handler}.onExit(0).notify(0).executor(0)"),)
    assert stages[2].nodes == (node_id(f"{handler}-driver(0)"),)


def test_attempts_are_counted_and_a_cached_result_is_told():
    tasks = [*ABOVE, task(ROOT, "+.a-driver", "+.b-driver"), *chain(f"{ROOT}.a", attempts=3), *chain(f"{ROOT}.b")[:4]]
    tasks.append(task(f"{ROOT}.b(0).executor", state="SKIPPED"))
    first, second = find_stages(run(*tasks), Pipeline(None, ()))
    assert first.nodes == tuple(node_id(f"{ROOT}.a(0).executor({attempt})") for attempt in range(3))
    assert (second.name, second.state, second.nodes) == ("b", "reused", ())


def test_a_server_that_retries_nothing_has_shorter_names():
    root = f"{WORKFLOW}.root"
    tasks = [
        task(WORKFLOW, "+.root-driver"),
        task(f"{WORKFLOW}.root-driver", root),
        task(root, "+.a-driver"),
        task(f"{root}.a-driver", f"{root}.a"),
        task(f"{root}.a", "+.executor", state="RUNNING"),
        task(f"{root}.a.executor", state="RUNNING"),
    ]
    (stage,) = find_stages(run(*tasks, state="RUNNING"), Pipeline(None, ()))
    assert (stage.name, stage.state, stage.nodes) == ("a", "running", (node_id(f"{root}.a.executor"),))
