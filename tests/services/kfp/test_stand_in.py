"""The stand-in answers as KFP 2.17 was recorded to."""

import json
from typing import Any

import pytest

from compaware.pipelines.client import catalog
from tests.pipelines.client.replay import recorded
from tests.services.kfp.clock import Clock
from tests.services.kfp.conftest import Command
from tests.services.kfp.stand_in import StandIn
from tests.services.kfp.test_commands import SAMPLE
from tests.services.kfp.workflow import Workflow

# The recorded tasks are cut by these fields.
_CUT = {"run_id", "task_id", "create_time", "state_history"}


def ended(recorded_run: dict[str, Any], fails_at: str | None, stops_at: str | None = None) -> Workflow:
    """A Workflow of the recorded run's name that ends as that did."""
    tasks = recorded_run["run_details"]["task_details"]
    name = min(
        (task["display_name"] for task in tasks if task.get("display_name", "").startswith("compaware-")), key=len
    )
    # The recorded tasks had no annotation.
    workflow = Workflow(name, catalog.spec("distillation"), Clock(), executor="system-container-impl")
    while workflow.phase == "Running":
        workflow.terminated = workflow.running is not None and workflow.running == stops_at
        workflow.move_on(fails_at, "a reason")
    return workflow


def shape(tasks: list[dict[str, Any]]) -> list[Any]:
    """What must agree: each node's name, state, children and fields."""
    # The server also returns the executions of its cache as tasks, which have no name.
    return sorted(
        (
            task["display_name"],
            task.get("state", ""),
            sorted(child["pod_name"] for child in task.get("child_tasks", [])),
            sorted(task.keys() - _CUT),
        )
        for task in tasks
        if task.get("display_name")
    )


@pytest.mark.parametrize(
    ("name", "fails_at", "stops_at"),
    [
        ("run-succeeded", None, None),
        ("run-failed", "change-check", None),
        ("run-canceled", None, "teacher-check"),
    ],
)
def test_a_run_has_the_recorded_tasks(name: str, fails_at: str | None, stops_at: str | None):
    run = recorded(name)["body"]
    workflow = ended(run, fails_at, stops_at)
    assert shape(workflow.details(run["run_id"])) == shape(run["run_details"]["task_details"])


def test_a_log_is_found_by_the_recorded_ids():
    run = recorded("run-succeeded")["body"]
    workflow = ended(run, None)
    by_name, by_stage = (
        recorded(name)["path"].split("/")[-2] for name in ("log-of-a-pod-by-name", "log-of-a-stage-node")
    )
    assert workflow.log(by_name) == "publish begins\npublish ends\n"
    assert workflow.log(by_stage) == "benchmark begins\nbenchmark ends\n"
    workflow.pods.clear()
    assert workflow.log(by_stage) and workflow.log(by_name)
    workflow.archive.clear()
    assert workflow.log(by_stage) is None


def test_runs_schedules_and_errors_have_the_recorded_fields(server: StandIn, command: Command):
    command("schedule", "set", *SAMPLE, "--name", "nightly", "--every", "60s")
    answered = json.loads(json.dumps(server.answer("GET", "/apis/v2beta1/recurringruns?page_size=20", None, "", b"")))
    (ours,), (theirs,) = answered["recurringRuns"], recorded("schedules")["body"]["recurringRuns"]
    assert ours.keys() == theirs.keys()
    same = ("service_account", "max_concurrency", "mode", "status", "no_catchup", "namespace")
    assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}
    assert ours["trigger"] == theirs["trigger"]
    fired = server.fire("nightly")
    server.fails_at = "change-check"
    while server.get_run({}, {"run_id": fired["run_id"]}, {})["state"] != "FAILED":
        pass
    assert fired.keys() == recorded("run-of-a-schedule")["body"].keys()
    command("submit", *SAMPLE)
    run = server.items["runs"][-1]
    server.get_run({}, {"run_id": run["run_id"]}, {})
    assert run.keys() == recorded("run-failed")["body"].keys()
    error = json.loads(server.log(f"/apis/v1alpha1/runs/{run['run_id']}/nodes/no-such-node/log", None) or "")
    assert error.keys() == recorded("log-of-no-node")["body"].keys()
