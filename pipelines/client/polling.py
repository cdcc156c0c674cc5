"""Asks the server for a run again and again, also while the server is restarted."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.pipelines.client.server import MissingError, translate_errors

if TYPE_CHECKING:
    from kfp import Client

Result = TypeVar("Result")
POLL_S = 5.0
_PATIENCE_S = 900.0
# A server that has restarted may deny access for some seconds, until it knows the users' roles.
_DENIED_PATIENCE_S = 60.0


def patiently(call: Callable[[], Result]) -> Result:
    """Returns the result of a request to the server. While it does not answer, says so once and tries again.

    Raises:
        MissingError: The server has no such object.
        UnavailableError: The server did not answer for a quarter of an hour.
        UserError: The server refused for a minute.
    """
    began, lost = time.monotonic(), False
    while True:
        try:
            with translate_errors():
                result = call()
        except MissingError:
            raise
        except (UnavailableError, UserError) as error:
            patience_s = _PATIENCE_S if isinstance(error, UnavailableError) else _DENIED_PATIENCE_S
            if time.monotonic() - began > patience_s:
                raise type(error)(f"{error}; the run goes on") from error
            if not lost:
                print(f"trying again: {error}", file=sys.stderr, flush=True)
            lost = True
            time.sleep(POLL_S)
        else:
            if lost:
                print("the server answers again", file=sys.stderr, flush=True)
            return result


def poll(client: "Client", run_id: str) -> Any:
    """Returns the server's description of a run after a pause; see `patiently`."""
    time.sleep(POLL_S)
    return patiently(lambda: client.get_run(run_id))
