"""Commands of `compaware` that use a Kubeflow Pipelines server: submit, status, logs, stop, schedule and others."""

import contextlib
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from compaware.components.core.stage.interface import JOB
from compaware.components.launch.pod_settings import SiteSettings
from compaware.pipelines.client import catalog, runs, schedule, validation
from compaware.pipelines.client.logs import Logs, print_logs
from compaware.pipelines.client.options import (
    Server,
    format_option,
    pipeline_arguments,
    request_options,
    root_option,
    run_argument,
    server_options,
)
from compaware.pipelines.client.server import TOKEN_VARIABLE, translate_errors
from compaware.pipelines.client.site import read_site, run_pods
from compaware.pipelines.client.stages import FAILED, SUCCEEDED, find_pipeline
from compaware.pipelines.client.status import end_line, failure_line, find_status, show
from compaware.pipelines.client.submit import Request, submit
from compaware.pipelines.client.waiting import wait
from compaware.pipelines.task_settings import Layers

_RUN_FAILED = 1
_INTERRUPTED = 130
_EPILOG = f"If the server needs a token, set {TOKEN_VARIABLE}."


def _request(
    pipeline: str, overrides: Sequence[str], config: Path | None, name: str, site: Path | None, **options: Any
) -> Request:
    settings = read_site(site) if site else SiteSettings()
    arguments = validation.load_arguments(catalog.spec(pipeline), config, overrides, local=False)
    layers = Layers(settings.pods, run_pods(arguments.get(JOB, {}), settings.pods), settings.runs)
    return Request(pipeline, arguments, name=name, layers=layers, **options)


@click.command(help="run a pipeline on Kubeflow Pipelines", epilog=_EPILOG)
@pipeline_arguments
@server_options
@request_options
@click.option("--name", help="name of the run (default: pipeline and time)")
@click.option("--wait", "waits", is_flag=True, help="wait for the run to end; exit with code 1 if it fails")
def _submit(pipeline: str, name: str | None, server: Server, dry_run: bool, waits: bool, **options: Any) -> int:
    name = name or f"{pipeline} {time.strftime('%Y-%m-%d %H:%M:%S')}"
    request = _request(pipeline, name=name, namespace=server.namespace, **options)
    if dry_run:
        print(json.dumps(request.shown(), indent=2))
        return 0
    client = server.connect()
    run_id = submit(client, request)
    show(f"run: {run_id} ({request.name})")
    if not waits:
        return 0
    with _run_goes_on(run_id, server):
        status = wait(client, run_id, show)
    show(end_line(status))
    if status.state == SUCCEEDED:
        return 0
    if status.state == FAILED:
        print(f"error: {failure_line(status, *server.options)}", file=sys.stderr)
    else:
        print(f"error: the run was {status.state}", file=sys.stderr)
    return _RUN_FAILED


@click.command(help="show a run and its stages", epilog=_EPILOG)
@run_argument
@root_option
@format_option
def _status(run: str, server: Server, pipeline_root: str, output_format: str) -> None:
    client = server.connect()
    details = runs.find_run(client, run, server.namespace)
    status = find_status(client, details, find_pipeline(client, details), pipeline_root)
    if output_format == "json":
        print(json.dumps(status.as_json(), indent=2))
        return
    for line in status.as_lines():
        show(line)
    if status.failure:
        show(f"  {failure_line(status, *server.options)}")


@click.command(help="show the logs of a run's stages", epilog=_EPILOG)
@run_argument
@click.option("--stage", help="stage to show, such as benchmark (default: all that have started)")
@click.option("--follow", is_flag=True, help="follow the logs until the stage or the run ends")
@root_option
def _logs(run: str, server: Server, stage: str | None, follow: bool, pipeline_root: str) -> None:
    client = server.connect()
    details = runs.find_run(client, run, server.namespace)
    logs = Logs(client, details, find_pipeline(client, details), pipeline_root)
    with _run_goes_on(details.run_id, server):
        remarks = print_logs(logs, stage, follow, lambda text: print(text, end="", flush=True))
    for remark in remarks:
        print(remark, file=sys.stderr)


@click.command(help="download a run's report from the object store", epilog=_EPILOG)
@run_argument
@click.option("--output", type=click.Path(path_type=Path), help="file to write (default: report-RUN_ID.html)")
@root_option
def _report(run: str, server: Server, output: Path | None, pipeline_root: str) -> None:
    client = server.connect()
    details = runs.find_run(client, run, server.namespace)
    logs = Logs(client, details, find_pipeline(client, details), pipeline_root)
    output = output or Path(f"report-{details.run_id}.html")
    runs.download_report(logs, output, *server.options)
    print(f"report: {output}")


@click.command(help="stop a run", epilog=_EPILOG)
@run_argument
def _stop(run: str, server: Server) -> None:
    client = server.connect()
    details = runs.find_run(client, run, server.namespace)
    runs.stop_run(client, details)
    show(f"stopping run {details.run_id}: its steps end within seconds, and a training job is deleted")
    show(
        f"checkpoints are kept: a new run, or compaware retry {shlex.join([details.run_id, *server.options])}, resumes"
    )


@click.command(help="run the failed stages of a run again", epilog=_EPILOG)
@run_argument
def _retry(run: str, server: Server) -> None:
    client = server.connect()
    details = runs.find_run(client, run, server.namespace)
    runs.retry_run(client, details)
    show(f"trying run {details.run_id} again: finished stages are kept, and a training resumes from its checkpoint")
    show(f"see compaware status {shlex.join([details.run_id, *server.options])}")


@contextlib.contextmanager
def _run_goes_on(run_id: str, server: Server) -> Iterator[None]:
    """Says on Ctrl-C that the run goes on, and how to stop it."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        options = shlex.join([run_id, *server.options])
        print(
            f"interrupted: the run goes on; see compaware status {options}, or stop it: compaware stop {options}",
            file=sys.stderr,
        )
        raise click.exceptions.Exit(_INTERRUPTED) from interrupt


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
    server: Server,
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
    request = _request(namespace=server.namespace, **options)
    if dry_run:
        print(json.dumps(request.shown() | {"timing": vars(timing)}, indent=2))
        return
    outcome = schedule.set_schedule(server.connect(), request, timing)
    print(f"schedule {request.name}: {outcome} ({schedule.TIME_ZONE_NOTE})")


@_schedule.command("list", help="list the schedules", epilog=_EPILOG)
@server_options
@format_option
def _list_schedules(server: Server, output_format: str) -> None:
    schedules = schedule.find_schedules(server.connect(), None, server.namespace)
    if output_format == "json":
        print(json.dumps([schedule.as_json(run) for run in schedules], indent=2))
        return
    for run in schedules:
        show(f"{run.display_name}: {schedule.format_times(run)}, {run.status.lower()}")
    show(schedule.TIME_ZONE_NOTE if schedules else "there are no schedules")


def _change_schedule(verb: str, name: str, server: Server) -> None:
    client = server.connect()
    changes: dict[str, Callable[[str], Any]] = {
        "enable": client.enable_recurring_run,
        "disable": client.disable_recurring_run,
        "delete": client.delete_recurring_run,
    }
    for run in schedule.require_schedules(client, name, server.namespace):
        with translate_errors():
            changes[verb](run.recurring_run_id)
    print(f"schedule {name}: {verb}d")


def add_commands(compaware: click.Group) -> None:
    """Adds the commands to `compaware`."""
    commands = {"submit": _submit, "status": _status, "logs": _logs, "report": _report, "stop": _stop, "retry": _retry}
    for name, command in commands.items():
        compaware.add_command(command, name)
    compaware.add_command(_schedule, "schedule")
    for verb in ("enable", "disable", "delete"):
        change = server_options(click.argument("name")(partial(_change_schedule, verb)))
        _schedule.command(verb, help=f"{verb} a schedule", epilog=_EPILOG)(change)
