"""A task's job has the same name in all tries, and another name in every iteration of a loop."""

from typing import Any

import pytest

from compaware.components.launch.options import JobOptions
from compaware.components.launch.task import POD_VARIABLE, task_job, task_of

# Pod of a task, as KFP 2.17 with Argo 4.0.5 creates it: the parts that the launcher reads, with
# the image of a registry.
POD = {
    "metadata": {
        "annotations": {
            "workflows.argoproj.io/node-id": "compaware-distillation-bvs97-1017802991",
            "workflows.argoproj.io/node-name": "compaware-distillation-bvs97(0).root(0).publish(0).executor(0)",
        },
        "labels": {
            "pipeline/runid": "b3212c66-1127-46ba-8495-3852b4ff736a",
            "workflows.argoproj.io/workflow": "compaware-distillation-bvs97",
        },
        "ownerReferences": [
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "blockOwnerDeletion": True,
                "controller": True,
                "kind": "Workflow",
                "name": "compaware-distillation-bvs97",
                "uid": "10bdb0d9-601c-41a7-90ea-f3a7004f1ee5",
            }
        ],
    },
    "spec": {
        "containers": [
            {"name": "wait", "image": "docker.io/kubeflow/argoexec:v4.0.5"},
            {"name": "main", "image": "registry.example.com/team/compaware/launcher:2.0"},
        ]
    },
}


class Api:
    """Returns one pod, whose node has this name."""

    namespace = "kubeflow"

    def __init__(self, node_name: str):
        annotations = {"workflows.argoproj.io/node-name": node_name}
        self._pod = {**POD, "metadata": {**POD["metadata"], "annotations": annotations}}

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self._pod


def name(node_name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(POD_VARIABLE, "pod")
    return task_job(Api(node_name), "distillation", {}, JobOptions()).name


@pytest.mark.parametrize(
    "another_try",
    [
        "compaware-distillation-bvs97(0).root(0).distillation(0).executor(1)",
        "compaware-distillation-bvs97(0).root(0).distillation(1).executor(0)",
        "compaware-distillation-bvs97(0).root(1).distillation(0).executor(2)",
        "compaware-distillation-bvs97.root.distillation.executor",
    ],
)
def test_all_tries_have_one_job(another_try: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = "compaware-distillation-bvs97(0).root(0).distillation(0).executor(0)"
    assert name(another_try, monkeypatch) == name(first, monkeypatch)


def test_iterations_and_tasks_have_different_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    # KFP iterates with `withSequence` (argocompiler/dag.go: iteratorTask): the item is the iteration's number.
    nodes = [
        "run(0).root(0).for-loop-2-iterations(0:0)(0).distillation(0).executor(0)",
        "run(0).root(0).for-loop-2-iterations(1:1)(0).distillation(0).executor(0)",
        "run(0).root(0).for-loop-2-iterations(10:10)(0).distillation(0).executor(0)",
        "run(0).root(0).for-loop-2-iterations(0:0)(0).sparsity-aware-training(0).executor(0)",
    ]
    assert len({name(node, monkeypatch) for node in nodes}) == len(nodes)


def test_the_iteration_stays_in_the_name_and_the_tries_do_not() -> None:
    node = "run(0).root(2).for-loop-2-iterations(1:1)(0).distillation(1).executor(0)"
    assert task_of(node) == "run.root.for-loop-2-iterations(1:1).distillation.executor"


def test_the_job_has_the_registry_and_the_tag_of_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POD_VARIABLE, "pod")
    job = task_job(Api("node"), "distillation", {}, JobOptions())
    assert job.options.image == "registry.example.com/team/compaware/trainer:2.0"


def test_the_workflow_owns_the_job_without_blocking_its_deletion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POD_VARIABLE, "pod")
    [owner] = task_job(Api("node"), "distillation", {}, JobOptions()).owners
    assert owner["kind"] == "Workflow" and owner["uid"] == "10bdb0d9-601c-41a7-90ea-f3a7004f1ee5"
    assert "controller" not in owner and "blockOwnerDeletion" not in owner
