"""Ends processes: together with the command that started them, even if it is killed, and at once."""

import logging
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import NoReturn

# Holds the process id of the command that started the first child, such as `compaware run` or a pod's worker.
VARIABLE = "COMPAWARE_COMMAND_PID"


def environment_of_children() -> dict[str, str]:
    """Returns the environment for children that end with this process's command, or with this process without one."""
    return {VARIABLE: str(os.getpid()), **os.environ}


def end_with_command() -> None:
    """Sends SIGTERM to this process as soon as its command has ended; does nothing without a command."""
    command = os.environ.get(VARIABLE)
    if not command:
        return
    try:
        handle = os.pidfd_open(int(command))
    except ProcessLookupError:
        sys.exit(128 + signal.SIGTERM)
    except OSError:
        return  # A sandbox without pidfd_open ends all its processes when it ends.
    threading.Thread(target=_wait_for_end, args=(handle,), daemon=True).start()


def _wait_for_end(handle: int) -> None:
    with suppress(OSError):
        select.select([handle], [], [])
        os.kill(os.getpid(), signal.SIGTERM)


def exit_at_once(code: int) -> NoReturn:
    """Exits without the teardown of the libraries, which takes seconds and in which threads of Gloo may abort."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
