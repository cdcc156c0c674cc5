"""One process at a time in a folder; a lock that the end of its process releases, however it ends."""

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


def lock_folder(folder: Path, what: str) -> IO[str]:
    """Locks a folder, made when needed, until the file that is returned is closed or this process ends.

    A record lock: it reaches the other machines of a shared disk, and no child has it after its parent was killed.

    Args:
        folder: The folder.
        what: What is made in it, for messages.

    Raises:
        UserError: Another process has it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / FILE_NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; choose another output") from error
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            owner = _owner(stream)
            stream.close()
            raise UserError(f"{what} is being made by {owner}: wait for it, or choose another output") from error
        log.warning("cannot lock %s (%s): start no second command for it", folder, error.strerror)
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
