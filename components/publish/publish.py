"""The work of publish: compares with what is published, fills a version's folder, uploads it, moves the pointer."""

import logging
import math
from datetime import UTC, datetime
from pathlib import Path

from transformers import AutoConfig

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.evaluation.criterion import Criterion
from compaware.components.core.evaluation.evaluate import evaluate_folder
from compaware.components.core.stage.workspace import Workspace
from compaware.components.publish.bundle import fill
from compaware.components.publish.config import PublishConfig
from compaware.components.publish.history_files import Entry, read_history, read_latest, write_history, write_latest
from compaware.components.publish.history_page import write_pages
from compaware.components.publish.registry import register
from compaware.components.publish.release import Release, serving
from compaware.components.storage import exists, fetch, join, upload

log = logging.getLogger(__name__)


def run(config: PublishConfig, workspace: Workspace) -> Summary:
    """Publishes the model, or says in one line why not.

    Raises:
        UserError: An input is not what it should be, the prefix cannot be used, or holds a model with other labels.
        UnavailableError: The object store or the Model Registry does not answer.
    """
    if not config.publish_uri:
        words = "publish_uri is not given: nothing is published"
        log.info(words)
        write_pages(workspace.output, words, [])
        return Summary.create("publish", config, {"published": 0.0}, {"words": words})
    release = Release.read(config)
    cache = workspace.work / "downloads"
    latest, history = read_latest(config.publish_uri, cache), read_history(config.publish_uri, cache)
    entry = _settled(release, latest, history)
    if entry is None:
        entry = _judge(release, latest, history, cache)
        history = [*(item for item in history if not item.published or item.version != entry.version), entry]
        if entry.published:
            fill(release, entry, workspace.work / entry.version)
            upload(workspace.work / entry.version, join(config.publish_uri, entry.version))
        write_history(config.publish_uri, history)
        if entry.published:
            write_latest(config.publish_uri, entry)
        words, published = _words(release, entry), entry.published
    else:
        words, published = f"nothing changed since {_earlier(release, entry)}", False
    log.info(words)
    if entry.published:
        register(release, entry)
    write_pages(workspace.output, words, history)
    metrics = {"published": float(published), entry.metric_name: entry.metric}
    if entry.earlier_metric is not None:
        metrics[f"earlier_{entry.metric_name}"] = entry.earlier_metric
    return Summary.create("publish", config, metrics, {"words": words, "entry": entry.model_dump()})


def _settled(release: Release, latest: Entry | None, history: list[Entry]) -> Entry | None:
    """The earlier decision on this very model, where it still stands."""
    if latest and latest.model_fingerprint == release.model_fingerprint:
        return latest
    for item in history:
        same = (item.model_fingerprint, item.fingerprints) == (release.model_fingerprint, release.fingerprints)
        same = same and item.metric_name == release.dataset.manifest.metric
        if same and latest and item.earlier_version == latest.version and item.earlier_metric is not None:
            return None if _criterion(release, item.earlier_metric).passes(item.metric) else item
    return None


def _judge(release: Release, latest: Entry | None, history: list[Entry], cache: Path) -> Entry:
    """Measures the model, and the published one beside it, and decides."""
    config = release.config
    metric = _score(release, config.model)
    if math.isnan(metric):
        raise UserError(f"{config.model} gives NaN or infinite logits for validation rows: it is not published")
    earlier, changed, published = None, ["data", "teacher", "parameters", "version"], True
    reason = "nothing was published before"
    if latest:
        folder = fetch(join(config.publish_uri, latest.version), cache, require_manifest=True)
        _check_labels(release, folder)
        earlier = _score(release, folder)
        changed = [name for name, value in release.fingerprints.items() if latest.fingerprints.get(name) != value]
        criterion = _criterion(release, earlier)
        published = criterion.passes(metric)
        reason = f"{criterion.describe(metric)}; {latest.version}, on the same {_rows(release)} rows, is the baseline"
        if math.isnan(earlier):
            earlier, published, reason = None, True, f"{latest.version} gives NaN or infinite logits for these rows"
    now = datetime.now(UTC)
    return Entry(
        version=_version(release, history, now) if published else "",
        time=now.isoformat(timespec="seconds"),
        published=published,
        reason=reason,
        changed=changed,
        role=release.role,
        runtime=release.runtime,
        precision=release.precision,
        metric_name=release.dataset.manifest.metric,
        metric=metric,
        earlier_version=latest.version if latest else None,
        earlier_metric=earlier,
        size_bytes=release.measured.size_bytes,
        p50_ms=release.measured.batches[release.benchmark.batch_sizes[0]].p50_ms,
        model_fingerprint=release.model_fingerprint,
        fingerprints=release.fingerprints,
    )


def _criterion(release: Release, earlier: float) -> Criterion:
    """What a model may lose now against the one that is published."""
    return Criterion.create(release.dataset.manifest.metric, earlier, release.config.max_loss_to_published_points / 100)


def _score(release: Release, folder: Path) -> float:
    """The primary metric of a model folder on the validation split, in the runtime that serves it on this CPU."""
    runtime, precision = serving(folder)
    found = evaluate_folder(
        folder,
        release.dataset.path,
        runtime=runtime,
        precision=precision,
        max_length_tokens=release.config.max_length_tokens,
    )
    return found.metrics[release.dataset.manifest.metric]


def _check_labels(release: Release, folder: Path) -> None:
    """Two models can be compared only where they answer the same question."""
    config = AutoConfig.from_pretrained(folder)
    wanted = release.dataset.manifest.label_names
    labels = [config.id2label[index] for index in range(config.num_labels)]
    if len(labels) != release.dataset.manifest.num_labels or (wanted and labels != wanted):
        raise UserError(
            f"what is published at {release.config.publish_uri} answers {', '.join(labels)}, the data has "
            f"{', '.join(wanted) or 'numbers'}: choose another publish_uri for this data"
        )


def _version(release: Release, history: list[Entry], now: datetime) -> str:
    last = history[-1] if history else None
    if last and last.published and last.model_fingerprint == release.model_fingerprint:
        return last.version  # A run was killed before it moved the pointer there.
    version = release.config.version or f"{now:%Y%m%dT%H%M%SZ}-{release.model_fingerprint[:8]}"
    if exists(join(release.config.publish_uri, version)):
        raise UserError(f"version {version} is at {release.config.publish_uri} already: give another version")
    return version


def _words(release: Release, entry: Entry) -> str:
    if entry.published:
        shown = f"{entry.metric_name} {entry.metric:.4f}"
        return f"published {entry.version} at {release.config.publish_uri}: {shown} ({entry.reason})"
    return f"not published, {entry.earlier_version} stays: {entry.reason}"


def _earlier(release: Release, entry: Entry) -> str:
    if entry.published:
        return f"{entry.version}: this very model is published at {release.config.publish_uri}"
    return f"{entry.time}: {_words(release, entry)}"


def _rows(release: Release) -> int:
    return release.dataset.manifest.splits["validation"]
