"""How often a branch of a sweep was tried: a number at a place that all runs of a pipeline share.

KFP caches what a task leaves when it succeeds, and a branch succeeds also where a member failed. The number is part of
a branch's inputs. It goes up when a member failed for a reason that another try may mend: the next run tries the branch
again, and takes the others from the cache.
"""

import logging
import tempfile
from pathlib import Path

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.files import write_text
from compaware.components.storage import exists, fetch, upload

_FILE = "attempt.txt"
log = logging.getLogger(__name__)


def read_attempt(place: str) -> int:
    """How many tries of a branch failed and are worth another one; 0 where nothing was noted."""
    uri = f"{place}/{_FILE}"
    try:
        if not exists(uri):
            return 0
        with tempfile.TemporaryDirectory() as cache:
            return int(fetch(uri, Path(cache), require_manifest=True).read_text(encoding="ascii"))
    except (UserError, UnavailableError, ValueError) as error:
        log.warning("whether a failed branch is to be tried again cannot be read at %s: %s", uri, error)
        return 0


def note_attempt(place: str, attempt: int) -> None:
    """Notes the number of the next try; a note that cannot be written is no reason to lose what was made."""
    uri = f"{place}/{_FILE}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / _FILE
            write_text(file, f"{attempt}\n")
            upload(file, uri)
    except (UserError, UnavailableError) as error:
        log.warning("the next run will not try this branch again, %s cannot be written: %s", uri, error)
