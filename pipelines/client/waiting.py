"""Waits for a run to end, also while the server is restarted."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from compaware.pipelines.client.polling import patiently, poll
from compaware.pipelines.client.stages import ENDED, begun, find_pipeline
from compaware.pipelines.client.status import Status, change_line, find_status

if TYPE_CHECKING:
    from kfp import Client


def wait(client: "Client", run_id: str, say: Callable[[str], None]) -> Status:
    """Waits for a run to end and reports each change of a stage in one line.

    Raises:
        UnavailableError: The server no longer responds.
        UserError: The server no longer accepts our token, or the run was deleted.
    """
    said: dict[str, str] = {}
    run = patiently(lambda: client.get_run(run_id))
    pipeline = patiently(lambda: find_pipeline(client, run))
    while True:
        status = find_status(client, run, pipeline)
        for stage in begun(status.stages):
            line = change_line(stage)
            if said.get(stage.name) != line:
                said[stage.name] = line
                say(line)
        if status.state in ENDED:
            return status
        run = poll(client, run_id)
