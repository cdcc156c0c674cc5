"""Work of change_check: compares fingerprints of a run's inputs with those of the last published version."""

import hashlib
import logging
from importlib.metadata import version
from pathlib import Path

from compaware.components.change_check.config import ChangeCheckConfig
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.tasks import TASKS
from compaware.components.core.stage.workspace import Workspace
from compaware.components.publish.history_files import Entry, Published
from compaware.components.storage import fingerprint, is_uri

log = logging.getLogger(__name__)
_HUB_TIMEOUT_S = 20


def run(config: ChangeCheckConfig, workspace: Workspace) -> Summary:
    """Computes the fingerprints and logs what has changed.

    Raises:
        UserError: The store of the data, of a model or of the published versions refuses access.
        UnavailableError: That store does not respond.
    """
    fingerprints = {
        "data": _data(config),
        "teacher": _source(config.teacher, "model", None) if config.teacher else "",
        "student": _source(config.student, "model", None) if config.student else "",
        "version": version("compaware"),
    }
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


def _data(config: ChangeCheckConfig) -> str:
    if config.data:
        return _source(config.data, "dataset", config.hub_revision)
    task = TASKS.get(config.task)
    # The built-in sample is part of compaware; data_prep reports an unknown task.
    return _hub_commit(task.hub_id, "dataset", config.hub_revision) if task and task.hub_id else config.task


def _source(source: str, kind: str, revision: str | None) -> str:
    """Returns the fingerprint of a path, a URI or a hub id."""
    if is_uri(source) or Path(source).expanduser().exists():
        return fingerprint(source)
    return _hub_commit(source, kind, revision)


def _hub_commit(name: str, kind: str, revision: str | None) -> str:
    """Returns a hub id with its current commit, or with its revision if the hub does not respond."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, HTTPError

    try:
        commit = HfApi().repo_info(name, repo_type=kind, revision=revision, timeout=_HUB_TIMEOUT_S).sha
    except (OSError, HTTPError, HFValidationError) as error:
        log.info("cannot read the commit of %s from the hub (%s): treating it as unchanged", name, type(error).__name__)
        return f"{name}@{revision or 'unknown'}"
    return f"{name}@{commit}"
