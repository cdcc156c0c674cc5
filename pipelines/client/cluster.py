"""The commands of `compaware` that talk to a Kubeflow Pipelines server: submit, status, logs, report and schedule."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from compaware.pipelines.client import catalog, runs, schedule, validation
from compaware.pipelines.client.options import pipeline_arguments, request_options, run_argument, server_options
from compaware.pipelines.client.server import TOKEN_VARIABLE, connect, explained
from compaware.pipelines.client.submit import SUCCEEDED, Request, submit, task_states, wait

_RUN_FAILED = 1
_EPILOG = f"A token, where one is needed, is taken from {TOKEN_VARIABLE}."


def _request(pipeline: str, overrides: Sequence[str], config: Path | None, name: str, **options: Any) -> Request:
    arguments = validation.load_arguments(catalog.spec(pipeline), config, overrides, local=False)
    return Request(pipeline, arguments, name=name, **options)


@click.command(help="run a pipeline on Kubeflow Pipelines", epilog=_EPILOG)
@pipeline_arguments
@server_options
@request_options
@click.option("--name", help="the run's name; pipeline and time when not given")
@click.option("--wait", "waits", is_flag=True, help="wait for the end; exit code 1 if the run fails")
def _submit(
    pipeline: str, name: str | None, host: str | None, namespace: str | None, dry_run: bool, waits: bool, **options: Any
) -> int:
    name = name or f"{pipeline} {time.strftime('%Y-%m-%d %H:%M:%S')}"
    request = _request(pipeline, name=name, namespace=namespace, **options)
    if dry_run:
        print(json.dumps(request.shown(), indent=2))
        return 0
    client = connect(host, namespace)
    run_id = submit(client, request)
    print(f"run: {run_id} ({request.name})", flush=True)
    if not waits:
        return 0
    run = wait(client, run_id, lambda line: print(line, flush=True))
    print(f"the run has ended: {run.state.lower()}")
    if run.state == SUCCEEDED:
        return 0
    print(f"error: {runs.failure(run)}", file=sys.stderr)
    return _RUN_FAILED


@click.command(help="show a run and its tasks", epilog=_EPILOG)
@run_argument
def _status(run: str, host: str | None, namespace: str | None) -> None:
    client = connect(host, namespace)
    found = runs.find_run(client, run, namespace)
    print(f"{found.display_name} ({found.run_id}): {found.state.lower()}, created {found.created_at}")
    for name, state in task_states(found).items():
        print(f"  {name}: {state.lower()}")
    if found.state == "FAILED":
        print(f"  {runs.failure(found)}")


@click.command(help="show what the stages of a run have written", epilog=_EPILOG)
@run_argument
@click.option("--stage", help="only this one, such as benchmark; all that have begun without it")
@click.option("--follow", is_flag=True, help="go on until the stage, or the run, has ended")
def _logs(run: str, host: str | None, namespace: str | None, stage: str | None, follow: bool) -> None:
    client = connect(host, namespace)
    found = runs.find_run(client, run, namespace)
    runs.print_logs(client, found, stage, follow, lambda text: print(text, end="", flush=True))


@click.command(help="fetch a run's report from the object store", epilog=_EPILOG)
@run_argument
@click.option("--output", type=click.Path(path_type=Path), help="file to write; report-RUN_ID.html here without it")
@click.option(
    "--pipeline-root",
    default=runs.PIPELINE_ROOT,
    help=f"where KFP keeps artifacts, if its configuration says another place than {runs.PIPELINE_ROOT}",
)
def _report(run: str, host: str | None, namespace: str | None, output: Path | None, pipeline_root: str) -> None:
    found = runs.find_run(connect(host, namespace), run, namespace)
    output = output or Path(f"report-{found.run_id}.html")
    runs.save_report(found, pipeline_root, output)
    print(f"report: {output}")


@click.group(help="recurring runs: set, list, enable, disable, delete", no_args_is_help=False)
def _schedule() -> None:
    pass


@_schedule.command("set", help="create a schedule, or change the one of that name", epilog=_EPILOG)
@pipeline_arguments
@server_options
@request_options
@click.option("--name", required=True, help="the schedule's name")
@click.option("--cron", help="six fields, seconds first, such as '0 0 3 * * 1'")
@click.option("--every", help="an interval, such as 24h or 7d")
@click.option("--max-concurrency", type=int, default=1, help="runs at the same time, 1 to 10 (default 1)")
@click.option("--catch-up", is_flag=True, help="make up for times that were missed")
@click.option("--disabled", is_flag=True, help="do not start it yet")
def _set_schedule(
    cron: str | None,
    every: str | None,
    max_concurrency: int,
    catch_up: bool,
    disabled: bool,
    host: str | None,
    namespace: str | None,
    dry_run: bool,
    **options: Any,
) -> None:
    if bool(cron) == bool(every):
        raise click.UsageError("give exactly one of --cron and --every")
    timing = schedule.Timing(
        cron=schedule.read_cron(cron) if cron else None,
        every_s=schedule.read_interval(every) if every else None,
        max_concurrency=max_concurrency,
        catch_up=catch_up,
        enabled=not disabled,
    )
    request = _request(namespace=namespace, **options)
    if dry_run:
        print(json.dumps(request.shown() | {"timing": vars(timing)}, indent=2))
        return
    outcome = schedule.set_schedule(connect(host, namespace), request, timing)
    print(f"schedule {request.name}: {outcome} ({schedule.ZONE})")


@_schedule.command("list", help="list the schedules", epilog=_EPILOG)
@server_options
def _list_schedules(host: str | None, namespace: str | None) -> None:
    runs = schedule.find(connect(host, namespace), None, namespace)
    for run in runs:
        print(f"{run.display_name}: {schedule.times(run)}, {run.status.lower()}")
    print(schedule.ZONE if runs else "there are no schedules")


def _change_schedule(verb: str, name: str, host: str | None, namespace: str | None) -> None:
    client = connect(host, namespace)
    change: dict[str, Callable[[str], Any]] = {
        "enable": client.enable_recurring_run,
        "disable": client.disable_recurring_run,
        "delete": client.delete_recurring_run,
    }
    for run in schedule.require(client, name, namespace):
        with explained():
            change[verb](run.recurring_run_id)
    print(f"schedule {name}: {verb}d")


def add_commands(compaware: click.Group) -> None:
    """Adds the commands to `compaware`."""
    for name, command in (("submit", _submit), ("status", _status), ("logs", _logs), ("report", _report)):
        compaware.add_command(command, name)
    compaware.add_command(_schedule, "schedule")
    for verb in ("enable", "disable", "delete"):
        change = server_options(click.argument("name")(partial(_change_schedule, verb)))
        _schedule.command(verb, help=f"{verb} a schedule", epilog=_EPILOG)(change)
