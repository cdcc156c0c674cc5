"""Recurring runs: one schedule for each name, made anew only where something of it has changed."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compaware.components.core.base.errors import UserError
from compaware.pipelines.client.server import explained, named, pages
from compaware.pipelines.client.submit import Request, Uploaded, experiment_id, upload

if TYPE_CHECKING:
    from kfp import Client

ZONE = "times are those of the server's zone: UTC, unless its CRON_SCHEDULE_TIMEZONE is set"
_CRON_FIELDS = 6
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


@dataclass(frozen=True)
class Timing:
    """When a schedule runs; just one of the first two is given.

    Attributes:
        cron: Six fields, seconds first, or `@daily` and the like.
        every_s: Seconds between two runs.
        max_concurrency: Runs at the same time, 1 to 10.
        catch_up: Make up for times that were missed.
        enabled: Whether it runs.
    """

    cron: str | None
    every_s: int | None
    max_concurrency: int
    catch_up: bool
    enabled: bool

    def __post_init__(self) -> None:
        if not 1 <= self.max_concurrency <= 10:
            raise UserError(f"max concurrency is {self.max_concurrency}: choose 1 to 10, as KFP does")


def read_cron(text: str) -> str:
    """Checks a cron expression as far as it can be done here.

    Raises:
        UserError: It does not have KFP's six fields.
    """
    fields = text.split()
    if text in _DESCRIPTORS or (len(fields) == _CRON_FIELDS and all(re.fullmatch(r"[\w*?/,#-]+", f) for f in fields)):
        return text
    hint = f": with seconds first that is '0 {text}'" if len(fields) == _CRON_FIELDS - 1 else ", such as '0 0 3 * * 1'"
    raise UserError(f"the cron expression '{text}' must have six fields, seconds first{hint}")


def read_interval(text: str) -> int:
    """Seconds of an interval such as `90m`, `24h` or `7d`.

    Raises:
        UserError: It is not one.
    """
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if not match or int(match[1]) == 0:
        raise UserError(f"the interval '{text}' must be a number and s, m, h or d, such as 24h")
    return int(match[1]) * _SECONDS[match[2]]


def set_schedule(client: "Client", request: Request, timing: Timing) -> str:
    """Makes the schedule of that name be what is asked for.

    KFP cannot change a recurring run: a new one takes the place of the old, which is deleted last.

    Returns:
        `created`, `replaced` or `unchanged`.

    Raises:
        UserError: The server refuses.
    """
    uploaded = upload(client, request)
    experiment = experiment_id(client, request)
    wanted = _wanted(request, timing, uploaded, experiment)
    earlier = find(client, request.name, request.namespace)
    same = next((run for run in earlier if _description(run) == wanted), None)
    if same is None:
        with explained():
            client.create_recurring_run(
                experiment,
                request.name,
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
    for run in earlier:
        if run is not same:
            with explained():
                client.delete_recurring_run(run.recurring_run_id)
    return "unchanged" if same else "replaced" if earlier else "created"


def find(client: "Client", name: str | None, namespace: str | None) -> list[Any]:
    """The schedules of a name, or all of them.

    Raises:
        UserError: The server refuses.
    """
    query = {"filter": named("display_name", name)} if name else {}
    return list(pages(client.list_recurring_runs, "recurring_runs", namespace=namespace, **query))


def require(client: "Client", name: str, namespace: str | None) -> list[Any]:
    """As `find`, for a name that must be there.

    Raises:
        UserError: It is not, or the server refuses.
    """
    found = find(client, name, namespace)
    if not found:
        names = sorted({run.display_name for run in find(client, None, namespace)})
        raise UserError(f"there is no schedule '{name}': there is {', '.join(names) or 'none'}")
    return found


def times(run: Any) -> str:
    """When a schedule runs, for people."""
    cron, periodic = run.trigger.cron_schedule, run.trigger.periodic_schedule
    return f"cron {cron.cron}" if cron else f"every {int(periodic.interval_second)} s"


def _wanted(request: Request, timing: Timing, uploaded: Uploaded, experiment: str) -> dict[str, Any]:
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


def _description(run: Any) -> dict[str, Any]:
    """What a schedule on the server is, in the terms of `_wanted`."""
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
