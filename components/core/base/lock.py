"""Locks a folder for one process; the lock is released when the process ends, even if it is killed."""

import errno
import fcntl
import json
import logging
import os
import socket
from pathlib import Path
from typing import IO

from compaware.components.core.base.errors import UserError

FILE_NAME = ".lock"
log = logging.getLogger(__name__)


def lock_folder(folder: Path, output: str) -> IO[str]:
    """Locks a folder, creating it if needed, until the returned file is closed or this process ends.

    The lock is a record lock: other machines that share the disk respect it, and children do not inherit it.

    Args:
        folder: The folder.
        output: The output that the process writes, for messages.

    Raises:
        UserError: Another process holds the lock, or the folder is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / FILE_NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder} ({error.strerror}): choose another output") from error
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            owner = _owner(stream)
            stream.close()
            raise UserError(f"{owner} is writing {output}: wait for it, or choose another output") from error
        log.warning("cannot lock %s (%s): do not start a second command for it", folder, error.strerror)
        return stream
    stream.truncate(0)
    stream.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
    stream.flush()
    return stream


def _owner(stream: IO[str]) -> str:
    stream.seek(0)
    try:
        owner = json.loads(stream.read())
    except ValueError:
        return "another process"
    return f"process {owner['pid']} on {owner['host']}"
