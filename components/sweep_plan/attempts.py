"""The number of attempts of a sweep's branch, stored in a folder that all runs of a pipeline share.

KFP caches the outputs of a task that succeeds, and a branch succeeds even if one of its members failed. Therefore the
number is one of the branch's inputs. It is increased if a member failed for a reason that another attempt may fix. Then
the next run tries the branch again and takes the other branches from the cache.
"""

import logging
import tempfile
from pathlib import Path

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.files import write_text
from compaware.components.storage import exists, fetch, upload

_FILE = "attempt.txt"
log = logging.getLogger(__name__)


def read_attempt(folder_uri: str) -> int:
    """Returns how many attempts at a branch failed and are worth repeating; 0 if none is stored."""
    uri = f"{folder_uri}/{_FILE}"
    try:
        if not exists(uri):
            return 0
        with tempfile.TemporaryDirectory() as cache:
            return int(fetch(uri, Path(cache), require_manifest=True).read_text(encoding="ascii"))
    except (UserError, UnavailableError, ValueError) as error:
        log.warning("cannot read from %s whether to repeat a failed branch: %s", uri, error)
        return 0


def write_attempt(folder_uri: str, attempt: int) -> None:
    """Stores the number of the next attempt; a failure is only logged, so that finished models are not lost."""
    uri = f"{folder_uri}/{_FILE}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / _FILE
            write_text(file, f"{attempt}\n")
            upload(file, uri)
    except (UserError, UnavailableError) as error:
        log.warning("cannot write %s, so the next run will not repeat this branch: %s", uri, error)
