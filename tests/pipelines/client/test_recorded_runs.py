"""What the client makes of the answers of a real server: stages, states, logs, reasons and schedules."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from compaware.pipelines.client import catalog
from compaware.pipelines.client.nodes import Nodes
from tests.compiled import compiled_pipeline
from tests.pipelines.client.conftest import Ask
from tests.pipelines.client.replay import FAILED, RECORDED, SCHEDULED, STOPPING, SUCCEEDED, Replay, recorded, run

REST = ["teacher-check", "distillation", "benchmark", "publish"]
# The end of a failed task's log, after KFP's own lines: our line, and the launcher's.
REASON = "cannot read s3://mlpipeline/none: there is no such object"
FAILED_LOG = (
    f"[KFP Executor 2026-11-30 10:41:49,508 INFO]: Looking for component `change_check`\nerror: {REASON}\n"
    "F1130 10:41:50.435812      14 main.go:49] failed to execute component: exit status 2\n"
)


def failing_node(name: str = "run-failed") -> str:
    """The pod of change-check in a run that failed there."""
    executor = next(task for task in run(name)["run_details"]["task_details"] if task.get("display_name") == "executor")
    return executor["child_tasks"][0]["pod_name"]


def test_the_names_of_all_nodes_follow_from_the_display_names():
    tasks = [
        SimpleNamespace(
            display_name=task.get("display_name"),
            child_tasks=[SimpleNamespace(**child) for child in task.get("child_tasks", [])],
        )
        for task in SUCCEEDED["run_details"]["task_details"]
    ]
    names = json.loads((RECORDED / "workflow-nodes.json").read_text(encoding="utf-8"))
    assert Nodes(tasks).names == {node: name for node, name in names.items() if node != name}


def test_the_status_lists_the_stages_with_states_and_times(server: Replay, ask: Ask):
    code, out, err = ask("status", "tj")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"tj ({SUCCEEDED['run_id']}): succeeded, 6 min 17 s, created 2026-11-30 10:34:12 UTC",
        "  change-check   succeeded    10:34:33, 10 s",
        "  data-prep      succeeded    10:34:53, 10 s",
        "  teacher-check  succeeded    10:35:13, 2 min 18 s",
        "  distillation   succeeded    10:37:41, 57 s",
        "  benchmark      succeeded    10:38:48, 1 min 21 s",
        "  publish        succeeded    10:40:19, 10 s",
    ]


def test_the_status_of_a_failed_run_ends_with_stage_reason_and_command(server: Replay, ask: Ask):
    server.logs[FAILED["run_id"], failing_node()] = FAILED_LOG
    code, out, _ = ask("status", "bad")
    lines = out.splitlines()
    assert code == 0
    assert lines[1:] == [
        "  change-check   failed       10:41:44, 10 s",
        *(f"  {name:13}  not run" for name in ["data-prep", *REST]),
        f"  change-check failed: {REASON}; see compaware logs {FAILED['run_id']} --stage change-check",
    ]


@pytest.mark.parametrize(
    ("log", "message", "reason"),
    [
        ("unavailable: the store does not answer\n", None, "the store does not answer"),
        ("Traceback (most recent call last):\nModuleNotFoundError: No module named 'x'\n", None, "ModuleNotFoundError"),
        ("", "main: OOMKilled (exit code 137)", "OOMKilled (exit code 137)"),
        ("ValueError: seen and caught\n", "main: OOMKilled (exit code 137)", "OOMKilled (exit code 137)"),
        (None, "Pod was rejected: the node was low on resource: memory", "Pod was rejected: the node was low"),
        ("F1130 10:41:50.435812      14 main.go:49] the input is null: teacher\n", None, "the input is null"),
        (None, None, "no reason is known"),
    ],
)
def test_a_reason_is_taken_from_the_log_or_the_workflow(log, message, reason, server: Replay, ask: Ask):
    node = failing_node()
    if log is not None:
        server.logs[FAILED["run_id"], node] = log
    if message:
        server.workflows[FAILED["run_id"]] = {"status": {"nodes": {node: {"message": message}}}}
    assert f"change-check failed: {reason}" in ask("status", "bad")[1].splitlines()[-1]


def test_a_failed_driver_fails_its_stage_and_its_log_is_that_of_the_stage(server: Replay, ask: Ask):
    broken = copy.deepcopy(FAILED) | {"run_id": "broken", "display_name": "broken"}
    tasks = broken["run_details"]["task_details"]
    tasks[:] = [task for task in tasks if not task["display_name"].startswith("executor")]
    for task in tasks:
        if task["display_name"].startswith("change-check"):
            task.pop("state")
    driver = next(task for task in tasks if task["display_name"] == "change-check-driver")
    driver["state"] = "FAILED"
    server.runs["broken"] = [broken]
    log = "F1130 10:41:50.435812      14 main.go:79] KFP driver: the resolved input parameter is null: teacher\n"
    server.logs["broken", driver["child_tasks"][0]["pod_name"]] = log
    assert ask("status", "broken")[1].splitlines()[-1] == (
        "  change-check failed: KFP driver: the resolved input parameter is null: teacher; "
        "see compaware logs broken --stage change-check"
    )
    assert ask("logs", "broken", "--stage", "change_check")[1] == f"== change-check ==\n{log}"


def test_a_terminated_run_is_told_as_stopped(server: Replay, ask: Ask):
    lines = ask("status", "stopped")[1].splitlines()
    assert ": stopped, 1 min 57 s, created" in lines[0]
    assert lines[3] == "  teacher-check  stopped      10:43:24, 56 s"
    # The server writes CANCELING into the history only if the Workflow was reported in between.
    server.workflows[FAILED["run_id"]] = {"spec": {"activeDeadlineSeconds": 0}}
    assert "): stopped, " in ask("status", "bad")[1]


def test_a_status_for_programs_is_json(server: Replay, ask: Ask):
    server.logs[FAILED["run_id"], failing_node()] = FAILED_LOG
    status = json.loads(ask("status", "bad", "--output", "json")[1])
    assert status["state"] == "failed" and status["finished_at"] == "2026-11-30T10:41:54Z"
    assert status["stages"][0] == {
        "name": "change-check",
        "state": "failed",
        "started_at": "2026-11-30T10:41:44Z",
        "finished_at": "2026-11-30T10:41:54Z",
    }
    assert status["failure"] == {"stage": "change-check", "reason": REASON}
    assert json.loads(ask("schedule", "list", "--output", "json")[1]) == [
        {
            "recurring_run_id": server.schedules[0]["recurring_run_id"],
            "name": "nightly",
            "cron": None,
            "every_s": 60,
            "enabled": True,
        }
    ]


@pytest.mark.parametrize("how", ["log-of-a-stage-node", "log-of-a-pod-by-name"])
def test_a_log_is_found_by_what_the_server_finds_it(how: str, server: Replay, ask: Ask):
    answer = recorded(how)
    *_, run_id, _, node, _ = answer["path"].split("/")
    # The server finds an archived log by the ids of the pod and of the nodes above it, a running pod's by its name.
    ids = {"compaware-distillation-bvs97-3316473793": "compaware-distillation-bvs97-2871716959"}
    server.logs[run_id, ids.get(node, node)] = answer["body"]
    stage = {"log-of-a-stage-node": "benchmark", "log-of-a-pod-by-name": "publish"}[how]
    assert ask("logs", "tj", "--stage", stage) == (0, f"== {stage} ==\n{answer['body']}", "")


def test_a_pod_with_a_template_of_its_own_is_named_after_that(server: Replay, ask: Ask):
    pod = failing_node()
    node = {"templateName": "metadata-0-2-system-container-impl"}
    server.workflows[FAILED["run_id"]] = {"status": {"nodes": {pod: node}}}
    workflow, _, number = pod.rpartition("-")
    server.logs[FAILED["run_id"], f"{workflow}-{node['templateName']}-{number}"] = "found\n"
    assert ask("logs", "bad", "--stage", "change-check")[1] == "== change-check ==\nfound\n"


def test_a_running_pod_of_ours_is_found_without_its_workflow(server: Replay, ask: Ask):
    # KFP names the template after the numbers of annotations and labels (container.go, addContainerExecutorTemplate).
    _, platform = yaml.safe_load_all(compiled_pipeline("distillation", False))
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-change-check"]["podMetadata"]
    template = f"metadata-{len(settings['annotations'])}-{len(settings.get('labels', {}))}-system-container-impl"
    workflow, _, number = failing_node().rpartition("-")
    server.logs[FAILED["run_id"], f"{workflow}-{template}-{number}"] = "found\n"
    assert ask("logs", "bad", "--stage", "change-check")[1] == "== change-check ==\nfound\n"


def test_an_answer_that_is_an_error_is_no_log(server: Replay, ask: Ask):
    code, out, err = ask("logs", "tj", "--stage", "data_prep")
    assert (code, out) == (2, "")
    assert (
        err.startswith("error: there is no log of data-prep (succeeded): its pod is gone")
        and "set MINIO_ENDPOINT" in err
    )
    assert err.count("\n") == 1 and len(err) < 300
    # A connection that is lost in the middle ends a log with the error.
    node = "compaware-distillation-bvs97-3622122022"
    server.logs[SUCCEEDED["run_id"], node] = "begins\n" + json.dumps(
        recorded("log-of-no-node")["body"], separators=(",", ":")
    )
    assert ask("logs", "tj", "--stage", "data-prep")[1] == "== data-prep ==\nbegins\n"


def test_the_log_of_a_pod_that_is_gone_is_read_from_the_object_store(server: Replay, ask: Ask, tmp_path: Path):
    for key in (RECORDED / "objects-of-a-run.txt").read_text(encoding="utf-8").splitlines():
        file = tmp_path / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file.parents[1].name} said this\n", encoding="utf-8")
    root = ("--pipeline-root", (tmp_path / "v2/artifacts").as_uri())
    assert ask("logs", "tj", "--stage", "distillation", *root)[1] == "== distillation ==\ndistillation said this\n"
    out = ask("logs", "tj", *root)[1]
    assert [line for line in out.splitlines() if line.startswith("==")] == [
        f"== {name} ==" for name in ["change-check", "data-prep", *REST]
    ]
    report = tmp_path / "report.html"
    assert ask("report", "tj", *root, "--output", str(report))[0] == 0
    assert report.read_text(encoding="utf-8") == "benchmark said this\n"


def test_a_schedule_stands_for_its_latest_run(server: Replay, ask: Ask):
    assert ask("status", "nightly")[1].startswith(f"{SCHEDULED['display_name']} ({SCHEDULED['run_id']}): failed")
    server.logs[SCHEDULED["run_id"], failing_node("run-of-a-schedule")] = FAILED_LOG
    assert ask("logs", "nightly", "--stage", "change-check")[1].splitlines()[2] == f"error: {REASON}"
    code, _, err = ask("report", "nightly", "--pipeline-root", "file:///nowhere")
    assert code == 2 and f"the run has no report: change-check failed: {REASON}; see compaware logs" in err
    del server.runs[SCHEDULED["run_id"]]
    assert ask("status", "nightly")[2] == "error: schedule nightly has not started a run yet\n"


def test_stages_are_known_after_the_pipeline_was_deleted_and_of_a_run_with_its_own(server: Replay, ask: Ask):
    expected = ask("status", "tj")[1]
    server.has_pipelines = False
    assert ask("status", "tj")[1] == expected
    assert "not run" in ask("status", "bad")[1]
    inline = copy.deepcopy(STOPPING) | {"run_id": "i", "display_name": "inline", "state": "RUNNING"}
    del inline["pipeline_version_reference"]
    inline["pipeline_spec"] = catalog.spec("distillation")
    server.runs["i"] = [inline]
    assert [line.split()[0] for line in ask("status", "inline")[1].splitlines()[1:]] == [
        "change-check",
        "data-prep",
        *REST,
    ]


def test_an_unknown_run_is_one_line(server: Replay, ask: Ask):
    code, _, err = ask("status", "no-such-run")
    assert code == 2 and "there is no run or schedule 'no-such-run': check the name" in err and err.count("\n") == 1


def test_a_pod_that_waits_is_pending_and_says_for_what(server: Replay, ask: Ask):
    waiting = copy.deepcopy(STOPPING)
    waiting |= {"state": "RUNNING", "run_id": "w", "display_name": "waiting", "state_history": []}
    tasks = waiting["run_details"]["task_details"]
    pod = next(task for task in tasks if task.get("display_name") == "executor(0)" and task["state"] == "RUNNING")
    pod["state"] = "PENDING"
    node = next(
        task["child_tasks"][0]["pod_name"]
        for task in tasks
        if task.get("display_name") == "executor" and task["state"] == "RUNNING"
    )
    server.runs["w"] = [waiting]
    message = "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu."
    server.workflows["w"] = {"status": {"nodes": {node: {"phase": "Pending", "message": message}}}}
    lines = ask("status", "waiting")[1].splitlines()
    assert lines[3] == f"  teacher-check  pending      10:43:24 ({message})"
    assert lines[4] == "  distillation   not started"
