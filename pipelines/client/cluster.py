"""Commands of `compaware` that use a Kubeflow Pipelines server: submit, status, logs, report and schedule."""

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
from compaware.pipelines.client.server import TOKEN_VARIABLE, connect, translate_errors
from compaware.pipelines.client.submit import SUCCEEDED, Request, submit, task_states, wait

_RUN_FAILED = 1
_EPILOG = f"If the server needs a token, set {TOKEN_VARIABLE}."


def _request(pipeline: str, overrides: Sequence[str], config: Path | None, name: str, **options: Any) -> Request:
    arguments = validation.load_arguments(catalog.spec(pipeline), config, overrides, local=False)
    return Request(pipeline, arguments, name=name, **options)


@click.command(help="run a pipeline on Kubeflow Pipelines", epilog=_EPILOG)
@pipeline_arguments
@server_options
@request_options
@click.option("--name", help="name of the run (default: pipeline and time)")
@click.option("--wait", "waits", is_flag=True, help="wait for the run to end; exit with code 1 if it fails")
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
    print(f"error: {runs.describe_failure(run)}", file=sys.stderr)
    return _RUN_FAILED


@click.command(help="show a run and its tasks", epilog=_EPILOG)
@run_argument
def _status(run: str, host: str | None, namespace: str | None) -> None:
    client = connect(host, namespace)
    details = runs.find_run(client, run, namespace)
    print(f"{details.display_name} ({details.run_id}): {details.state.lower()}, created {details.created_at}")
    for name, state in task_states(details).items():
        print(f"  {name}: {state.lower()}")
    if details.state == "FAILED":
        print(f"  {runs.describe_failure(details)}")


@click.command(help="show the logs of a run's stages", epilog=_EPILOG)
@run_argument
@click.option("--stage", help="stage to show, such as benchmark (default: all that have started)")
@click.option("--follow", is_flag=True, help="follow the logs until the stage or the run ends")
def _logs(run: str, host: str | None, namespace: str | None, stage: str | None, follow: bool) -> None:
    client = connect(host, namespace)
    runs.print_logs(
        client, runs.find_run(client, run, namespace), stage, follow, lambda text: print(text, end="", flush=True)
    )


@click.command(help="download a run's report from the object store", epilog=_EPILOG)
@run_argument
@click.option("--output", type=click.Path(path_type=Path), help="file to write (default: report-RUN_ID.html)")
@click.option(
    "--pipeline-root",
    default=runs.PIPELINE_ROOT,
    help=f"where KFP stores artifacts (default: {runs.PIPELINE_ROOT})",
)
def _report(run: str, host: str | None, namespace: str | None, output: Path | None, pipeline_root: str) -> None:
    details = runs.find_run(connect(host, namespace), run, namespace)
    output = output or Path(f"report-{details.run_id}.html")
    runs.download_report(details, pipeline_root, output)
    print(f"report: {output}")


@click.group(help="recurring runs: set, list, enable, disable, delete", no_args_is_help=False)
def _schedule() -> None:
    pass


@_schedule.command("set", help="create or update the schedule of a name", epilog=_EPILOG)
@pipeline_arguments
@server_options
@request_options
@click.option("--name", required=True, help="name of the schedule")
@click.option("--cron", help="six fields that start with seconds, such as '0 0 3 * * 1'")
@click.option("--every", help="interval, such as 24h or 7d")
@click.option("--max-concurrency", type=int, default=1, help="runs at the same time, 1 to 10 (default 1)")
@click.option("--catch-up", is_flag=True, help="also run for missed times")
@click.option("--disabled", is_flag=True, help="create it disabled")
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
    print(f"schedule {request.name}: {outcome} ({schedule.TIME_ZONE_NOTE})")


@_schedule.command("list", help="list the schedules", epilog=_EPILOG)
@server_options
def _list_schedules(host: str | None, namespace: str | None) -> None:
    runs = schedule.find_schedules(connect(host, namespace), None, namespace)
    for run in runs:
        print(f"{run.display_name}: {schedule.format_times(run)}, {run.status.lower()}")
    print(schedule.TIME_ZONE_NOTE if runs else "there are no schedules")


def _change_schedule(verb: str, name: str, host: str | None, namespace: str | None) -> None:
    client = connect(host, namespace)
    changes: dict[str, Callable[[str], Any]] = {
        "enable": client.enable_recurring_run,
        "disable": client.disable_recurring_run,
        "delete": client.delete_recurring_run,
    }
    for run in schedule.require_schedules(client, name, namespace):
        with translate_errors():
            changes[verb](run.recurring_run_id)
    print(f"schedule {name}: {verb}d")


def add_commands(compaware: click.Group) -> None:
    """Adds the commands to `compaware`."""
    for name, command in (("submit", _submit), ("status", _status), ("logs", _logs), ("report", _report)):
        compaware.add_command(command, name)
    compaware.add_command(_schedule, "schedule")
    for verb in ("enable", "disable", "delete"):
        change = server_options(click.argument("name")(partial(_change_schedule, verb)))
        _schedule.command(verb, help=f"{verb} a schedule", epilog=_EPILOG)(change)
