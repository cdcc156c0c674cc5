"""Work of change_check: compares fingerprints of a run's inputs with those of the last published version."""

import hashlib
import logging
from importlib.metadata import version
from pathlib import Path

from compaware.components.change_check.commits import HubCommits
from compaware.components.change_check.config import ChangeCheckConfig
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.tasks import TASKS
from compaware.components.core.stage.workspace import Workspace
from compaware.components.launch import shared_folder
from compaware.components.publish.history_files import Entry, Published
from compaware.components.storage import fingerprint, is_uri

log = logging.getLogger(__name__)


def run(config: ChangeCheckConfig, workspace: Workspace) -> Summary:
    """Computes the fingerprints and logs what has changed.

    Raises:
        UserError: The store of the data, of a model or of the published versions refuses access.
        UnavailableError: That store does not respond.
    """
    commits = HubCommits(shared_folder(config.state_uri, config.run_id, "hub-commits"))
    fingerprints = {
        "data": _data(config, commits),
        "teacher": _source(config.teacher, "model", None, commits) if config.teacher else "",
        "student": _source(config.student, "model", None, commits) if config.student else "",
        "version": version("compaware"),
    }
    commits.save()
    latest = Published.read(config.publish_uri).latest if config.publish_uri else None
    changed = [name for name, value in fingerprints.items() if latest and latest.fingerprints.get(name, "") != value]
    log.info(_message(config, latest, changed))
    metrics = {f"{name}_changed": float(name in changed) for name in fingerprints}
    sources = " ".join(value for name, value in fingerprints.items() if name != "version")
    combined = hashlib.sha256(sources.encode()).hexdigest()
    facts = {"fingerprints": fingerprints, "fingerprint": combined, "changed": changed}
    return Summary.create("change_check", config, {"changed": float(not latest or bool(changed)), **metrics}, facts)


def _message(config: ChangeCheckConfig, latest: Entry | None, changed: list[str]) -> str:
    if not config.publish_uri:
        return "publish_uri is not given: there is no earlier model to compare with"
    if latest is None:
        return f"nothing is published at {config.publish_uri} yet"
    if not changed:
        since = f"data, models and compaware have not changed since {latest.version}"
        return f"{since}: finished stages with the same parameters are reused"
    return f"changed since {latest.version}: {', '.join(changed)}"


def _data(config: ChangeCheckConfig, commits: HubCommits) -> str:
    if config.data:
        return _source(config.data, "dataset", config.hub_revision, commits)
    task = TASKS.get(config.task)
    # The built-in sample is part of compaware; data_prep reports an unknown task.
    return commits.find(task.hub_id, "dataset", config.hub_revision) if task and task.hub_id else config.task


def _source(source: str, kind: str, revision: str | None, commits: HubCommits) -> str:
    """Returns the fingerprint of a path, a URI or a hub id."""
    if is_uri(source) or Path(source).expanduser().exists():
        return fingerprint(source)
    return commits.find(source, kind, revision)
