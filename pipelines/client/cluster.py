"""The commands of `compaware` that talk to a Kubeflow Pipelines server: submit, status, logs, report and schedule."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compaware.components.launch.site import WEBHOOK_SECRET
from compaware.pipelines.client import catalog, runs, schedule, validation
from compaware.pipelines.client.server import HOST_VARIABLE, TOKEN_VARIABLE, connect, explained
from compaware.pipelines.client.submit import SUCCEEDED, Request, submit, task_states, wait

_RUN_FAILED = 1
AddPipeline = Callable[[argparse.ArgumentParser], None]


def add_commands(commands: Any, add_pipeline: AddPipeline) -> None:
    """Adds the commands to the parser of `compaware`.

    Args:
        commands: argparse's sub-parsers.
        add_pipeline: Adds the arguments that choose and configure a pipeline.
    """
    sending = commands.add_parser("submit", help="run a pipeline on Kubeflow Pipelines")
    add_pipeline(sending)
    _add_server(sending)
    _add_request(sending)
    sending.add_argument("--name", help="the run's name; pipeline and time when not given")
    sending.add_argument("--wait", action="store_true", help="wait for the end; exit code 1 if the run fails")
    sending.set_defaults(command=_submit)

    status = commands.add_parser("status", help="show a run and its tasks")
    _add_run(status)
    status.set_defaults(command=_status)

    logs = commands.add_parser("logs", help="show what the stages of a run have written")
    _add_run(logs)
    logs.add_argument("--stage", help="only this one, such as benchmark; all that have begun without it")
    logs.add_argument("--follow", action="store_true", help="go on until the stage, or the run, has ended")
    logs.set_defaults(command=_logs)

    report = commands.add_parser("report", help="fetch a run's report from the object store")
    _add_run(report)
    report.add_argument("--output", type=Path, help="file to write; report-RUN_ID.html here without it")
    report.add_argument(
        "--pipeline-root",
        default=runs.PIPELINE_ROOT,
        help=f"where KFP keeps artifacts, if its configuration says another place than {runs.PIPELINE_ROOT}",
    )
    report.set_defaults(command=_report)

    recurring = commands.add_parser("schedule", help="recurring runs: set, list, enable, disable, delete")
    verbs = recurring.add_subparsers(required=True, metavar="VERB")
    setting = verbs.add_parser("set", help="create a schedule, or change the one of that name")
    add_pipeline(setting)
    _add_server(setting)
    _add_request(setting)
    setting.add_argument("--name", required=True, help="the schedule's name")
    when = setting.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", help="six fields, seconds first, such as '0 0 3 * * 1'")
    when.add_argument("--every", help="an interval, such as 24h or 7d")
    setting.add_argument("--max-concurrency", type=int, default=1, help="runs at the same time, 1 to 10 (default 1)")
    setting.add_argument("--catch-up", action="store_true", help="make up for times that were missed")
    setting.add_argument("--disabled", action="store_true", help="do not start it yet")
    setting.set_defaults(command=_set_schedule)
    listing = verbs.add_parser("list", help="list the schedules")
    _add_server(listing)
    listing.set_defaults(command=_list_schedules)
    for verb in ("enable", "disable", "delete"):
        change = verbs.add_parser(verb, help=f"{verb} a schedule")
        change.add_argument("name", help="the schedule's name")
        _add_server(change)
        change.set_defaults(command=_change_schedule, verb=verb)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="the run's id, or its name: then its newest run")
    _add_server(parser)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help=f"address of Kubeflow Pipelines; {HOST_VARIABLE}, or the kubeconfig, without it")
    parser.add_argument("--namespace", help="your namespace, where there are several users")
    parser.epilog = f"A token, where one is needed, is taken from {TOKEN_VARIABLE}."


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--experiment", default="compaware", help="name of the experiment (default compaware)")
    parser.add_argument("--service-account", help="of the run's pods; the server's default without it")
    parser.add_argument(
        "--notify", action="store_true", help=f"tell the webhook of the secret {WEBHOOK_SECRET} how the run ended"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the request and send nothing")


def _request(options: argparse.Namespace, name: str) -> Request:
    spec = catalog.spec(options.pipeline)
    arguments = validation.load_arguments(spec, options.config, options.overrides, local=False)
    return Request(
        options.pipeline,
        arguments,
        options.experiment,
        name,
        options.namespace,
        options.service_account,
        options.notify,
    )


def _submit(options: argparse.Namespace) -> int:
    request = _request(options, options.name or f"{options.pipeline} {time.strftime('%Y-%m-%d %H:%M:%S')}")
    if options.dry_run:
        print(json.dumps(request.shown(), indent=2))
        return 0
    client = connect(options.host, options.namespace)
    run_id = submit(client, request)
    print(f"run: {run_id} ({request.name})", flush=True)
    if not options.wait:
        return 0
    run = wait(client, run_id, lambda line: print(line, flush=True))
    print(f"the run has ended: {run.state.lower()}")
    if run.state == SUCCEEDED:
        return 0
    print(f"error: {runs.failure(run)}", file=sys.stderr)
    return _RUN_FAILED


def _status(options: argparse.Namespace) -> int:
    client = connect(options.host, options.namespace)
    run = runs.find_run(client, options.run, options.namespace)
    print(f"{run.display_name} ({run.run_id}): {run.state.lower()}, created {run.created_at}")
    for name, state in task_states(run).items():
        print(f"  {name}: {state.lower()}")
    if run.state == "FAILED":
        print(f"  {runs.failure(run)}")
    return 0


def _logs(options: argparse.Namespace) -> int:
    client = connect(options.host, options.namespace)
    run = runs.find_run(client, options.run, options.namespace)
    runs.print_logs(client, run, options.stage, options.follow, lambda text: print(text, end="", flush=True))
    return 0


def _report(options: argparse.Namespace) -> int:
    run = runs.find_run(connect(options.host, options.namespace), options.run, options.namespace)
    output = options.output or Path(f"report-{run.run_id}.html")
    runs.save_report(run, options.pipeline_root, output)
    print(f"report: {output}")
    return 0


def _set_schedule(options: argparse.Namespace) -> int:
    timing = schedule.Timing(
        cron=schedule.read_cron(options.cron) if options.cron else None,
        every_s=schedule.read_interval(options.every) if options.every else None,
        max_concurrency=options.max_concurrency,
        catch_up=options.catch_up,
        enabled=not options.disabled,
    )
    request = _request(options, options.name)
    if options.dry_run:
        print(json.dumps(request.shown() | {"timing": vars(timing)}, indent=2))
        return 0
    outcome = schedule.set_schedule(connect(options.host, options.namespace), request, timing)
    print(f"schedule {request.name}: {outcome} ({schedule.ZONE})")
    return 0


def _list_schedules(options: argparse.Namespace) -> int:
    runs = schedule.find(connect(options.host, options.namespace), None, options.namespace)
    for run in runs:
        print(f"{run.display_name}: {schedule.times(run)}, {run.status.lower()}")
    print(schedule.ZONE if runs else "there are no schedules")
    return 0


def _change_schedule(options: argparse.Namespace) -> int:
    client = connect(options.host, options.namespace)
    change: dict[str, Callable[[str], Any]] = {
        "enable": client.enable_recurring_run,
        "disable": client.disable_recurring_run,
        "delete": client.delete_recurring_run,
    }
    for run in schedule.require(client, options.name, options.namespace):
        with explained():
            change[options.verb](run.recurring_run_id)
    print(f"schedule {options.name}: {options.verb}d")
    return 0
