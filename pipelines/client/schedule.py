"""Manages recurring runs: one schedule per name, which is replaced only if it has changed."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from compaware.components.core.base.errors import UserError
from compaware.pipelines.client import catalog
from compaware.pipelines.client.server import list_items, name_filter, translate_errors
from compaware.pipelines.client.submit import Request, Uploaded, experiment_id, server_name, upload_pipeline

if TYPE_CHECKING:
    from kfp import Client

TIME_ZONE_NOTE = "times are in the server's time zone: UTC, unless its CRON_SCHEDULE_TIMEZONE is set"
_CRON_FIELDS = 6
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


@dataclass(frozen=True)
class Timing:
    """Times of a schedule; either `cron` or `every_s` is set.

    Attributes:
        cron: Six fields that start with seconds, or a descriptor such as `@daily`.
        every_s: Seconds between two runs.
        max_concurrency: Maximum number of runs at the same time, 1 to 10.
        catch_up: Whether to run for missed times.
        enabled: Whether the schedule is active.
    """

    cron: str | None
    every_s: int | None
    max_concurrency: int
    catch_up: bool
    enabled: bool

    def __post_init__(self) -> None:
        if not 1 <= self.max_concurrency <= 10:
            raise UserError(f"the maximum concurrency is {self.max_concurrency}: choose 1 to 10")


def read_cron(text: str) -> str:
    """Checks the form of a cron expression and returns it.

    Raises:
        UserError: It does not have the six fields that KFP expects.
    """
    fields = text.split()
    if text in _DESCRIPTORS or (len(fields) == _CRON_FIELDS and all(re.fullmatch(r"[\w*?/,#-]+", f) for f in fields)):
        return text
    example = f"write '0 {text}'" if len(fields) == _CRON_FIELDS - 1 else "for example '0 0 3 * * 1'"
    raise UserError(f"the cron expression '{text}' must have six fields that start with seconds: {example}")


def read_interval(text: str) -> int:
    """Returns the seconds of an interval such as `90m`, `24h` or `7d`.

    Raises:
        UserError: It is not an interval.
    """
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if not match or int(match[1]) == 0:
        raise UserError(f"the interval '{text}' must be a number and s, m, h or d, such as 24h")
    return int(match[1]) * _SECONDS[match[2]]


def set_schedule(client: "Client", request: Request, timing: Timing) -> str:
    """Creates or updates the schedule of the request's name.

    KFP cannot update a recurring run, so a new one is created and then the old one is deleted. If both have the same
    interval, the new one runs at the times of the old one.

    Returns:
        `created`, `replaced` or `unchanged`.

    Raises:
        UserError: The server refuses.
    """
    uploaded = upload_pipeline(client, request)
    experiment = experiment_id(client, request)
    requested = _describe_request(request, timing, uploaded, experiment)
    named = find_schedules(client, request.name, request.namespace)
    existing = [run for run in named if _pipeline_and_experiment(run) == (uploaded.pipeline_id, experiment)]
    if len(existing) < len(named):
        raise UserError(
            f"a schedule '{request.name}' of another pipeline or experiment exists: choose another --name, or delete "
            "that schedule"
        )
    # The server fills in a service account.
    filled_in = {} if request.service_account else {"service_account": ""}
    same = next((run for run in existing if _describe_schedule(run) | filled_in == requested), None)
    if same is None:
        with translate_errors():
            client.create_recurring_run(
                experiment,
                request.name,
                start_time=_last_due(existing, timing),
                interval_second=timing.every_s,
                cron_expression=timing.cron,
                max_concurrency=timing.max_concurrency,
                no_catchup=not timing.catch_up,
                params=request.arguments,
                pipeline_id=uploaded.pipeline_id,
                version_id=uploaded.version_id,
                enabled=timing.enabled,
                service_account=request.service_account,
            )
    for run in existing:
        if run is not same:
            with translate_errors():
                client.delete_recurring_run(run.recurring_run_id)
    return "unchanged" if same else "replaced" if existing else "created"


def find_schedules(client: "Client", name: str | None, namespace: str | None) -> list[Any]:
    """Returns the schedules of a name, or all schedules if it is None.

    Raises:
        UserError: The name is empty, or the server refuses.
    """
    if name is not None and not name.strip():
        raise UserError("the name is empty: give the name of a run or of a schedule")
    query = {} if name is None else {"filter": name_filter("display_name", name)}
    return list(list_items(client.list_recurring_runs, "recurring_runs", namespace=namespace, **query))


def require_schedules(client: "Client", name: str, namespace: str | None) -> list[Any]:
    """Returns the schedules of a name that must exist.

    Raises:
        UserError: There is no such schedule, or the server refuses.
    """
    schedules = find_schedules(client, name, namespace)
    if not schedules:
        names = sorted({run.display_name for run in find_schedules(client, None, namespace)})
        raise UserError(f"there is no schedule '{name}'; existing schedules: {', '.join(names) or 'none'}")
    ours = _our_pipelines(client, namespace)
    if any(_pipeline_and_experiment(run)[0] not in ours for run in schedules):
        raise UserError(f"a schedule '{name}' is of a pipeline that is not compaware's: change it in the KFP UI")
    return schedules


def _our_pipelines(client: "Client", namespace: str | None) -> set[str]:
    """Returns the ids of compaware's pipelines on the server."""
    names = [server_name(pipeline) for pipeline in catalog.names()]
    found = (
        list_items(client.list_pipelines, "pipelines", namespace=namespace, filter=name_filter("name", name))
        for name in names
    )
    return {pipeline.pipeline_id for pipelines in found for pipeline in pipelines}


def _pipeline_and_experiment(run: Any) -> tuple[str | None, str]:
    version = run.pipeline_version_reference
    return (version.pipeline_id if version else None), run.experiment_id


def _last_due(replaced: list[Any], timing: Timing) -> str | None:
    """Returns the last time at which a replaced schedule of the same interval was due; None without one."""
    for run in replaced:
        periodic = run.trigger.periodic_schedule
        if timing.every_s and periodic and int(periodic.interval_second) == timing.every_s:
            began = periodic.start_time or run.created_at
            passed_s = (datetime.now(UTC) - began).total_seconds()
            due = began + timedelta(seconds=passed_s // timing.every_s * timing.every_s)
            return due.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return None


def format_times(run: Any) -> str:
    """Returns the times of a schedule in readable form."""
    cron, periodic = run.trigger.cron_schedule, run.trigger.periodic_schedule
    return f"cron {cron.cron}" if cron else f"every {int(periodic.interval_second)} s"


def as_json(run: Any) -> dict[str, Any]:
    """Returns a schedule for programs."""
    cron, periodic = run.trigger.cron_schedule, run.trigger.periodic_schedule
    return {
        "recurring_run_id": run.recurring_run_id,
        "name": run.display_name,
        "cron": cron.cron if cron else None,
        "every_s": int(periodic.interval_second) if periodic else None,
        "enabled": run.status == "ENABLED",
    }


def _describe_request(request: Request, timing: Timing, uploaded: Uploaded, experiment: str) -> dict[str, Any]:
    return {
        "experiment": experiment,
        "pipeline": (uploaded.pipeline_id, uploaded.version_id),
        "parameters": request.arguments,
        "service_account": request.service_account or "",
        "cron": timing.cron or "",
        "every_s": timing.every_s or 0,
        "max_concurrency": timing.max_concurrency,
        "catch_up": timing.catch_up,
        "enabled": timing.enabled,
    }


def _describe_schedule(run: Any) -> dict[str, Any]:
    """Describes a schedule on the server with the keys of `_describe_request`."""
    version, cron, periodic = run.pipeline_version_reference, run.trigger.cron_schedule, run.trigger.periodic_schedule
    return {
        "experiment": run.experiment_id,
        "pipeline": (version.pipeline_id, version.pipeline_version_id) if version else None,
        "parameters": (run.runtime_config.parameters if run.runtime_config else None) or {},
        "service_account": run.service_account or "",
        "cron": cron.cron if cron else "",
        "every_s": int(periodic.interval_second) if periodic else 0,
        "max_concurrency": int(run.max_concurrency or 1),
        "catch_up": not run.no_catchup,
        "enabled": run.status == "ENABLED",
    }
