"""Commands that need a server, and KFP's own commands with compaware's files, work against a stand-in server."""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from compaware.pipelines.client import catalog
from tests.services.kfp.conftest import Command
from tests.services.kfp.stand_in import REASON, TOKEN, StandIn

SAMPLE = ("distillation", "--config", str(catalog.folder("distillation") / "configs/sample.yaml"))
PACKAGE = str(catalog.folder("distillation") / "pipeline.yaml")


def test_a_run_is_created_with_the_files_values_and_those_of_the_command_line(server: StandIn, command: Command):
    done = command("submit", *SAMPLE, "seed=7", "--name", "first", "--experiment", "mine")
    assert done.returncode == 0, done.stderr
    (run,), (pipeline,), (experiment,) = (server.items[kind] for kind in ("runs", "pipelines", "experiments"))
    assert run["display_name"] == "first" and experiment["display_name"] == "mine"
    assert run["experiment_id"] == experiment["experiment_id"]
    parameters = run["runtime_config"]["parameters"]
    assert parameters == {"seed": 7, "task": "sample", "max_length_tokens": 48}
    assert pipeline["display_name"] == "compaware-distillation"
    assert done.stdout == f"run: {run['run_id']} (first)\n"


def test_a_version_is_uploaded_once(server: StandIn, command: Command):
    for _ in range(2):
        assert command("submit", *SAMPLE).returncode == 0
    runs = server.items["runs"]
    assert len(runs) == 2 and runs[0]["pipeline_version_reference"] == runs[1]["pipeline_version_reference"]
    # The pipeline's first version, which KFP makes itself, and ours.
    assert len(server.items["pipelines"]) == 1 and len(server.items["versions"]) == 2


def test_a_run_that_notifies_is_another_version_of_the_same_pipeline(server: StandIn, command: Command):
    for words in ((), ("--notify",), ("--notify",)):
        assert command("submit", *SAMPLE, *words).returncode == 0
    plain, *notifying = (run["pipeline_version_reference"] for run in server.items["runs"])
    assert notifying[0] == notifying[1] and notifying[0] != plain
    assert notifying[0]["pipeline_id"] == plain["pipeline_id"]


STAGES = ["change-check", "data-prep", "teacher-check", "distillation", "benchmark", "publish"]


def test_waiting_tells_of_the_stages_and_ends_with_the_runs_exit_code(server: StandIn, command: Command):
    done = command("submit", *SAMPLE, "--wait")
    assert done.returncode == 0, done.stderr
    changes = [line.partition(" ")[2] for line in done.stdout.splitlines()[1:-1] if line[:1].isdigit()]
    begun = [f"{stage}: running" for stage in STAGES]
    ended = [f"{stage}: succeeded after 10 s" for stage in STAGES]
    assert changes == [line for pair in zip(begun, ended, strict=True) for line in pair]
    assert done.stdout.splitlines()[-1] == "the run has ended: succeeded after 2 min 10 s"
    server.fails_at = "benchmark"
    failed = command("submit", *SAMPLE, "--wait", "--name", "bad")
    assert failed.returncode == 1
    run_id = failed.stdout.split()[1]
    reason = f"benchmark failed: {REASON}; see compaware logs {run_id} --stage benchmark"
    assert failed.stderr == f"error: {reason}\n"
    status = command("status", "bad")
    assert [line.split()[:2] for line in status.stdout.splitlines()[5:7]] == [
        ["benchmark", "failed"],
        ["publish", "not"],
    ]
    assert status.stdout.splitlines()[7:] == [f"  {reason}"]
    assert f"error: {REASON}" in command(*shlex.split(reason.partition("compaware ")[2])).stdout


def test_waiting_outlives_a_restart_of_the_server(server: StandIn, site: dict[str, str]):
    program = Path(sys.executable).with_name("compaware")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([program, "submit", *SAMPLE, "--wait"], env=site, text=True, **pipes)
    assert process.stdout
    started = [process.stdout.readline(), process.stdout.readline()]
    assert "change-check: running" in started[1]
    server.pause()
    time.sleep(8)
    server.resume()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and out.splitlines()[-1].startswith("the run has ended: succeeded after ")
    assert [line.partition(":")[0] for line in err.splitlines()] == ["trying again", "the server answers again"]


def test_a_run_that_was_terminated_is_stopped(server: StandIn, command: Command):
    run_id = command("submit", *SAMPLE, "--name", "first").stdout.split()[1]
    command("status", "first")
    server.terminate_run({}, {"run_id": run_id}, {})
    for _ in range(2):
        status = command("status", "first").stdout
    assert server.items["runs"][0]["state"] == "FAILED"
    assert ": stopped, " in status.splitlines()[0] and status.splitlines()[1].split()[:2] == ["change-check", "stopped"]


def test_a_run_is_stopped_and_tried_again(server: StandIn, command: Command):
    run_id = command("submit", *SAMPLE, "--name", "first").stdout.split()[1]
    command("status", "first")
    stopped = command("stop", "first")
    assert stopped.returncode == 0 and stopped.stdout.startswith(f"stopping run {run_id}: ")
    assert f"compaware retry {run_id}" in stopped.stdout
    for _ in range(2):
        status = command("status", "first").stdout
    assert ": stopped, " in status.splitlines()[0]
    ended = command("stop", "first")
    assert ended.returncode == 2 and ended.stderr == f"error: run {run_id} has ended already (failed)\n"
    assert command("retry", "first").stdout.startswith(f"trying run {run_id} again: ")
    refused = command("retry", "first")
    assert refused.returncode == 2 and "only a failed run can be tried again" in refused.stderr
    for _ in range(20):
        status = command("status", "first").stdout
        if ": succeeded, " in status.splitlines()[0]:
            return
    raise AssertionError(status)


def test_a_pipeline_that_is_kept_in_kubernetes_is_known_by_its_name(server: StandIn, command: Command):
    """A server that keeps pipelines in Kubernetes filters by `spec.displayName`, which manifests need not have."""
    server.items["pipelines"].append(
        {"pipeline_id": "uid-1", "name": "compaware-distillation", "display_name": "", "created_at": "2026-01-01"}
    )
    for _ in range(2):
        assert command("submit", *SAMPLE).returncode == 0
    assert len(server.items["pipelines"]) == len(server.items["versions"]) == 1
    assert server.items["versions"][0]["pipeline_id"] == "uid-1"


def test_servers_before_2_16_get_no_choices_of_parameters(server: StandIn, command: Command):
    assert command("submit", "distillation_then_quantization").returncode == 0
    assert "on_accuracy_loss" in str(server.items["versions"][-1]["pipeline_spec"])
    assert "literals" not in str(server.items["versions"][-1]["pipeline_spec"])


def test_logs_are_shown_and_followed_stage_by_stage(server: StandIn, command: Command, tmp_path: Path):
    run_id = command("submit", *SAMPLE, "--name", "first").stdout.split()[1]
    now = command("logs", "first")
    assert now.stdout == "== change-check ==\nchange-check begins\n", now.stderr
    followed = command("logs", "first", "--follow")
    lines = [line for stage in STAGES for line in (f"== {stage} ==", f"{stage} begins", f"{stage} ends")]
    assert followed.stdout.splitlines() == lines
    # The pods are gone: Argo's archive has the logs, then only the object store.
    workflow = server.workflows[run_id]
    workflow.pods.clear()
    assert command("logs", "first", "--stage", "data_prep").stdout.splitlines() == lines[3:6]
    unknown = command("logs", "first", "--stage", "accuracy_gate")
    assert unknown.stderr == (
        f"error: the run has not started a stage 'accuracy_gate'; started stages: {', '.join(STAGES)}\n"
    )
    workflow.archive.clear()
    root = ("--pipeline-root", (tmp_path / "store").as_uri())
    gone = command("logs", "first", "--stage", "benchmark", *root)
    assert gone.returncode == 2 and "error: there is no log of benchmark (succeeded): its pod is gone" in gone.stderr
    stored = tmp_path / "store" / "compaware-distillation" / run_id / "benchmark" / "8a1c" / "executor-logs-0"
    stored.parent.mkdir(parents=True)
    stored.write_text("benchmark was here\n")
    found = command("logs", "first", "--stage", "benchmark", *root)
    assert found.stdout == "== benchmark ==\nbenchmark was here\n", found.stderr
    server.needs_token = True
    assert "set KF_PIPELINES_TOKEN" in command("logs", "first").stderr


def test_a_schedules_name_stands_for_its_latest_run(server: StandIn, command: Command):
    command("schedule", "set", *SAMPLE, "--name", "nightly", "--every", "24h")
    assert command("status", "nightly").stderr == "error: schedule nightly has not started a run yet\n"
    server.fire("nightly")
    server.clock.tick()
    latest = server.fire("nightly")
    assert command("status", "nightly").stdout.startswith(f"{latest['display_name']} ({latest['run_id']}): running")
    assert command("logs", "nightly", "--stage", "change-check").stdout.splitlines()[1] == "change-check begins"


def test_the_report_of_a_run_is_fetched_from_where_kfp_keeps_artifacts(
    server: StandIn, command: Command, tmp_path: Path
):
    root = ("--pipeline-root", (tmp_path / "store").as_uri())
    run_id = command("submit", *SAMPLE, "--name", "first").stdout.split()[1]
    early = command("report", "first", *root)
    assert early.returncode == 2
    assert early.stderr == "error: the run has no report yet: change-check is running\n"
    command("submit", *SAMPLE, "--wait", "--name", "other")
    elsewhere = command("report", "other", *root)
    assert elsewhere.returncode == 2 and "set --pipeline-root" in elsewhere.stderr
    # The second part from the end is drawn by KFP.
    stored = tmp_path / "store" / "compaware-distillation" / run_id / "benchmark" / "8a1c" / "report_html"
    stored.parent.mkdir(parents=True)
    stored.write_text("<!doctype html>the report")
    output = tmp_path / "reports" / "mine.html"
    done = command("report", "first", *root, "--output", str(output))
    assert done.stdout == f"report: {output}\n", done.stderr
    assert output.read_text() == "<!doctype html>the report" and list(output.parent.iterdir()) == [output]
    assert "there is no run or schedule 'nothing'" in command("report", "nothing", *root).stderr


def test_a_dry_run_shows_the_request_and_sends_nothing(server: StandIn, command: Command):
    done = command("submit", *SAMPLE, "--dry-run")
    assert json.loads(done.stdout)["runtime_config"]["parameters"]["task"] == "sample"
    assert not any(server.items.values())


def test_a_wrong_configuration_is_refused_before_the_server_is_asked(server: StandIn, command: Command):
    done = command("submit", *SAMPLE, "sed=1")
    assert done.returncode == 2 and "'sed'" in done.stderr and done.stderr.count("\n") == 1
    assert not any(server.items.values())


def test_refusals_are_one_line_that_says_what_to_do(server: StandIn, command: Command):
    server.needs_token, server.namespaces = True, {"team-a"}
    unknown = command("submit", *SAMPLE, "--namespace", "team-a")
    assert unknown.returncode == 2 and "set KF_PIPELINES_TOKEN" in unknown.stderr
    refused = command("submit", *SAMPLE, "--namespace", "team-b", KF_PIPELINES_TOKEN=TOKEN)
    assert refused.returncode == 2 and "check --namespace" in refused.stderr
    away = command("submit", *SAMPLE, "--host", "http://127.0.0.1:9")
    assert away.returncode == 2 and "no Kubeflow Pipelines server answers at http://127.0.0.1:9" in away.stderr
    nothing = command("status", "nothing", KF_PIPELINES_TOKEN=TOKEN)
    assert nothing.returncode == 2 and "there is no run or schedule" in nothing.stderr
    for done in (unknown, refused, away, nothing):
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
        assert TOKEN not in done.stderr
    allowed = command("submit", *SAMPLE, "--namespace", "team-a", KF_PIPELINES_TOKEN=TOKEN)
    assert allowed.returncode == 0, allowed.stderr


def test_a_schedule_is_created_once_and_replaced_where_it_changes(server: StandIn, command: Command):
    nightly = ("schedule", "set", *SAMPLE, "--name", "nightly")
    cron = ("--cron", "0 0 3 * * *")
    assert "nightly: created (times are in the server's time zone: UTC" in command(*nightly, *cron).stdout
    (first,) = server.items["recurring_runs"]
    assert (first["status"], first["no_catchup"], first["trigger"]["cron_schedule"]["cron"]) == (
        "ENABLED",
        True,
        "0 0 3 * * *",
    )
    assert "nightly: unchanged" in command(*nightly, *cron).stdout
    assert server.items["recurring_runs"] == [first]
    assert "nightly: replaced" in command(*nightly, "--every", "12h", "--max-concurrency", "2").stdout
    (second,) = server.items["recurring_runs"]
    assert second["trigger"]["periodic_schedule"]["interval_second"] in (43200, "43200")
    assert "nightly: replaced" in command(*nightly, "--every", "12h", "--max-concurrency", "2", "seed=9").stdout
    assert "unchanged" in command(*nightly, "--every", "12h", "--max-concurrency", "2", "seed=9").stdout


def test_a_schedule_keeps_its_times_when_it_is_replaced(server: StandIn, command: Command):
    nightly = ("schedule", "set", *SAMPLE, "--name", "nightly", "--every", "12h")
    command(*nightly)
    (first,) = server.items["recurring_runs"]
    first["created_at"] = "2026-01-01T05:00:00Z"
    assert "nightly: replaced" in command(*nightly, "seed=9").stdout
    (second,) = server.items["recurring_runs"]
    start = second["trigger"]["periodic_schedule"]["start_time"]
    assert start.endswith(("T05:00:00Z", "T17:00:00Z")) and start > "2026-11"
    assert "nightly: unchanged" in command(*nightly, "seed=9").stdout


def test_schedules_of_others_are_left_alone(server: StandIn, command: Command):
    nightly = ("--name", "nightly", "--every", "7d")
    command("schedule", "set", *SAMPLE, *nightly)
    other = command("schedule", "set", "sparsity_aware_training", *nightly)
    assert other.returncode == 2 and "of another pipeline or experiment exists" in other.stderr
    (schedule,) = server.items["recurring_runs"]
    server.items["pipelines"][0]["name"] = "somebody-elses"
    refused = command("schedule", "delete", "nightly")
    assert refused.returncode == 2 and "is not compaware's" in refused.stderr
    assert server.items["recurring_runs"] == [schedule]


def test_an_empty_name_does_not_stand_for_all_schedules(server: StandIn, command: Command):
    command("schedule", "set", *SAMPLE, "--name", "nightly", "--every", "7d")
    (schedule,) = server.items["recurring_runs"]
    for words in (("set", *SAMPLE, "--every", "1h", "--name", ""), ("delete", ""), ("disable", " ")):
        refused = command("schedule", *words)
        assert refused.returncode == 2 and "the name is empty" in refused.stderr
    assert "the name is empty" in command("status", "").stderr
    assert server.items["recurring_runs"] == [schedule] and schedule["status"] == "ENABLED"


def test_schedules_are_listed_switched_and_deleted_by_name(server: StandIn, command: Command):
    for name in ("a", "b", "c"):
        command("schedule", "set", *SAMPLE, "--name", name, "--every", "7d", "--disabled")
    assert command("schedule", "enable", "b").stdout == "schedule b: enabled\n"
    listed = command("schedule", "list").stdout.splitlines()
    assert listed[:3] == [f"{name}: every 604800 s, {'en' if name == 'b' else 'dis'}abled" for name in "abc"]
    assert command("schedule", "disable", "b").returncode == command("schedule", "delete", "a").returncode == 0
    assert {run["display_name"]: run["status"] for run in server.items["recurring_runs"]} == {
        "b": "DISABLED",
        "c": "DISABLED",
    }
    missing = command("schedule", "delete", "a")
    assert missing.returncode == 2 and missing.stderr == "error: there is no schedule 'a'; existing schedules: b, c\n"


def test_kfps_own_commands_take_our_packages(server: StandIn, command: Command):
    created = command(
        *("--endpoint", server.address, "run", "create", "--experiment-name", "mine", "--run-name", "plain"),
        *("--package-file", PACKAGE, "task=sample", "seed=3"),
        program="kfp",
    )
    assert created.returncode == 0, created.stderr
    (run,) = server.items["runs"]
    assert run["runtime_config"]["parameters"]["task"] == "sample"
    scheduled = command(
        *("--endpoint", server.address, "recurring-run", "create", "--experiment-name", "mine", "--job-name", "plain"),
        *("--cron-expression", "0 0 3 * * *", "--enabled", "--pipeline-package-path", PACKAGE, "task=sample"),
        program="kfp",
    )
    assert scheduled.returncode == 0, scheduled.stderr
    assert server.items["recurring_runs"][0]["status"] == "ENABLED"
