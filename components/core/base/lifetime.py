"""Ends a process together with the command that it works for: a killed command leaves nothing that goes on alone."""

import os
import select
import signal
import sys
import threading
from contextlib import suppress

# The process id of the command: `compaware run`, a pod's worker, or what else began the first child.
VARIABLE = "COMPAWARE_COMMAND_PID"


def environment_of_children() -> dict[str, str]:
    """This process's environment, for children that are to end with its command; that is itself if it has none."""
    return {VARIABLE: str(os.getpid()), **os.environ}


def end_with_command() -> None:
    """Sends this process SIGTERM as soon as the command that it works for is gone, if it works for one."""
    command = os.environ.get(VARIABLE)
    if not command:
        return
    try:
        handle = os.pidfd_open(int(command))
    except ProcessLookupError:
        sys.exit(128 + signal.SIGTERM)
    except OSError:
        return  # A sandbox without pidfd_open: its end is the end of all processes in it.
    threading.Thread(target=_wait_for_end, args=(handle,), daemon=True).start()


def _wait_for_end(handle: int) -> None:
    with suppress(OSError):
        select.select([handle], [], [])
        os.kill(os.getpid(), signal.SIGTERM)
