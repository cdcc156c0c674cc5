"""Commits of repositories on the hub, recorded for runs during which the hub does not answer."""

import json
import logging
import tempfile
from pathlib import Path

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.files import write_text
from compaware.components.storage import exists, fetch, join, upload

_FILE = "hub-commits.json"
_TIMEOUT_S = 20
log = logging.getLogger(__name__)


class HubCommits:
    """Asks the hub for commits.

    Attributes:
        folder: Path or URI of a folder that all runs of a pipeline share; without it, nothing is recorded.
    """

    def __init__(self, folder: str | None):
        self.folder = folder
        self._known = self._read() if folder else {}
        self._new: dict[str, str] = {}

    def find(self, name: str, kind: str, revision: str | None) -> str:
        """Returns a hub id with its current commit, or with that of the last run if the hub does not answer.

        Args:
            name: The hub id.
            kind: `model` or `dataset`.
            revision: Branch, tag or commit; None for the main branch.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

        key = f"{kind} {name}@{revision or 'main'}"
        try:
            commit = HfApi().repo_info(name, repo_type=kind, revision=revision, timeout=_TIMEOUT_S).sha
        except (OSError, HTTPError, HFValidationError) as error:
            # A hub that denies access has answered. The stage that loads the repository reports it.
            status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
            is_answer = isinstance(error, HFValidationError) or (status is not None and status < 429)
            commit = None if is_answer else self._known.get(key)
            state = f"its last known commit is {commit}" if commit else "its commit is unknown"
            log.info("cannot read the commit of %s from the hub (%s): %s", name, type(error).__name__, state)
            return f"{name}@{commit or revision or 'unknown'}"
        self._new[key] = str(commit)
        return f"{name}@{commit}"

    def save(self) -> None:
        """Records the commits that were found; a failure is only logged."""
        known = {**self._known, **self._new}
        if not self.folder or known == self._known:
            return
        try:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / _FILE
                write_text(file, json.dumps(known, indent=2))
                upload(file, join(self.folder, _FILE))
        except (UserError, UnavailableError) as error:
            log.warning("cannot record commits, so a run without the hub will repeat finished stages: %s", error)

    def _read(self) -> dict[str, str]:
        uri = join(str(self.folder), _FILE)
        try:
            if not exists(uri):
                return {}
            with tempfile.TemporaryDirectory() as cache:
                return dict(json.loads(fetch(uri, Path(cache)).read_text(encoding="utf-8")))
        except (UserError, UnavailableError, ValueError) as error:
            log.warning("cannot read the commits of earlier runs: %s", error)
            return {}
