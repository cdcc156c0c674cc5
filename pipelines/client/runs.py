"""Finds a run by its id, its name or its schedule, and downloads its report.

The API does not return a run's artifacts (their lists are empty), but KFP derives their location from the run's id.
"""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compaware.components.core.base.errors import UserError
from compaware.components.storage import fetch, find
from compaware.pipelines.client.logs import Logs
from compaware.pipelines.client.schedule import find_schedules
from compaware.pipelines.client.server import MissingError, list_items, name_filter, translate_errors
from compaware.pipelines.client.stages import ENDED, begun
from compaware.pipelines.client.status import failure_line, find_status

if TYPE_CHECKING:
    from kfp import Client

REPORT_ARTIFACT = "report_html"
# States of KFP. A run that was stopped ends as FAILED.
KFP_FAILED = ("FAILED", "CANCELED")
KFP_ENDED = ("SUCCEEDED", "SKIPPED", *KFP_FAILED)


def find_run(client: "Client", name: str, namespace: str | None) -> Any:
    """Returns the newest run of a name or of a schedule, or else the run of an id.

    The server chooses the names of a schedule's runs. Each of these runs has the schedule's id.

    Raises:
        UserError: There is no such run, or the server refuses.
    """
    filters = [name_filter("display_name", name)]
    schedules = find_schedules(client, name, namespace)
    filters += [name_filter("recurring_run_id", schedule.recurring_run_id) for schedule in schedules]
    newest = [run for text in filters if (run := _newest(client, text, namespace))]
    if not newest and schedules:
        raise UserError(f"schedule {name} has not started a run yet")
    run_id = max(newest, key=lambda run: run.created_at).run_id if newest else name
    try:
        with translate_errors():
            return client.get_run(run_id)
    except MissingError as error:
        raise UserError(
            f"there is no run or schedule {name!r}: check the name, the address of the server and --namespace"
        ) from error


def stop_run(client: "Client", run: Any) -> None:
    """Terminates a run, as the button of KFP's UI does.

    Raises:
        UserError: The run has ended, or the server refuses.
    """
    if run.state in KFP_ENDED:
        raise UserError(f"run {run.run_id} has ended already ({run.state.lower()})")
    with translate_errors():
        client.terminate_run(run.run_id)


def retry_run(client: "Client", run: Any) -> None:
    """Runs the failed stages of a run again, as the button of KFP's UI does.

    Raises:
        UserError: The run has not failed, or the server refuses.
    """
    if run.state not in KFP_FAILED:
        raise UserError(f"run {run.run_id} has not failed ({run.state.lower()}): only a failed run can be tried again")
    with translate_errors():
        client.runs.run_service_retry_run(run_id=run.run_id)


def download_report(logs: Logs, destination: Path, *options: str) -> None:
    """Downloads a run's report from the object store, with the store's settings on this machine.

    Args:
        logs: The run, and where KFP stores artifacts.
        destination: File to write.
        options: Options that further commands need to reach the server.

    Raises:
        UserError: There is no report yet, or the store refuses.
        UnavailableError: The store does not respond.
    """
    # The report of the last step comes last.
    reports = [report for folder in logs.folders() for report in find(folder, REPORT_ARTIFACT)]
    if not reports:
        raise UserError(_explain_missing_report(logs, *options))
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
        staged = shutil.copyfile(fetch(reports[-1], Path(folder) / "downloads"), Path(folder) / destination.name)
        staged.replace(destination)


def _newest(client: "Client", text: str, namespace: str | None) -> Any:
    runs = list_items(client.list_runs, "runs", namespace=namespace, sort_by="created_at desc", filter=text)
    return next(runs, None)


def _explain_missing_report(logs: Logs, *options: str) -> str:
    status = find_status(logs.client, logs.run, logs.pipeline, logs.pipeline_root)
    if status.failure:
        return f"the run has no report: {failure_line(status, *options)}"
    if status.state in ENDED:
        return (
            f"the run ({status.state}) has no report below {logs.root.partition('?')[0]}: set --pipeline-root if KFP "
            "stores artifacts elsewhere; if KFP reused cached stages, see the report of the earlier run"
        )
    last = next(reversed(begun(status.stages)), None)
    return f"the run has no report yet: {f'{last.name} is {last.state}' if last else 'no stage has started'}"
