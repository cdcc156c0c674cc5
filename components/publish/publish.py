"""Work of publish: compares the model with the published one, uploads a new version, and points latest.json to it."""

import logging
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from compaware.components.benchmark.report.formatting import format_score
from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import TEST
from compaware.components.core.evaluation.criterion import CHOSEN_ON_THESE_ROWS, Criterion, HeldOutScores
from compaware.components.core.evaluation.evaluate import Evaluation, evaluate_folder
from compaware.components.core.evaluation.held_out import evaluate_on_test
from compaware.components.core.evaluation.intervals import Difference, describe_interval, paired_difference
from compaware.components.core.evaluation.metrics import metric_label, why_undefined
from compaware.components.core.stage.workspace import Workspace
from compaware.components.publish.bundle import write_version
from compaware.components.publish.config import PublishConfig
from compaware.components.publish.history_files import Entry, Published
from compaware.components.publish.history_page import write_history_pages
from compaware.components.publish.registry import register
from compaware.components.publish.release import Release, serving_runtime
from compaware.components.storage import abandoned_uploads, discard, exists, fetch, join, upload

log = logging.getLogger(__name__)
# A further decision is needed only if another run has published since the last one.
_MAX_DECISIONS = 5


def run(config: PublishConfig, workspace: Workspace) -> Summary:
    """Publishes the model, or logs in one line why it does not.

    Raises:
        UserError: An input or the prefix is invalid, or the published model has other labels.
        UnavailableError: The object store or the Model Registry does not respond.
    """
    if not config.publish_uri:
        message = "publish_uri is not given: nothing is published"
        log.info(message)
        write_history_pages(workspace.output, message, [])
        return Summary.create("publish", config, {"published": 0.0}, {"words": message})
    release = Release.read(config)
    entry, history, is_new = _decide_and_write(release, workspace)
    published = is_new and entry.published
    message = _describe(release, entry) if is_new else f"nothing changed since {_describe_earlier(release, entry)}"
    log.info(message)
    if entry.published:
        register(release, entry)
    write_history_pages(workspace.output, message, history)
    _delete_abandoned(config.publish_uri)
    scores = {
        entry.metric_name: entry.metric,
        f"earlier_{entry.metric_name}": entry.earlier_metric,
        f"test_{entry.metric_name}": entry.test_metric,
        f"earlier_test_{entry.metric_name}": entry.earlier_test_metric,
    }
    metrics = {"published": float(published)} | {name: score for name, score in scores.items() if score is not None}
    return Summary.create("publish", config, metrics, {"words": message, "entry": entry.model_dump()})


def _decide_and_write(release: Release, workspace: Workspace) -> tuple[Entry, list[Entry], bool]:
    """Decides whether to publish, and decides again if another run has published in the meantime.

    Returns:
        The decision, the history with it, and whether it is new.
    """
    prefix, version = release.config.publish_uri, ""
    for _ in range(_MAX_DECISIONS):
        seen = Published.read(prefix)
        # Entries of the version that this run uploaded for an earlier decision are replaced.
        history = [item for item in seen.history if not version or item.version != version]
        if earlier := _earlier_decision(release, seen.latest, history):
            return earlier, history, False
        entry = _decide(release, seen.latest, history, workspace.work / "downloads", version)
        history = [*(item for item in history if not item.published or item.version != entry.version), entry]
        if entry.published:
            version = entry.version
            write_version(release, entry, workspace.work / version)
            upload(workspace.work / version, join(prefix, version))
        if seen.write(history, entry if entry.published else None):
            return entry, history, True
        log.info("another run has written at %s: comparing again", prefix)
    raise UnavailableError(f"other runs keep writing at {prefix}: run this task again")


def _delete_abandoned(prefix: str) -> None:
    """Deletes versions whose upload was killed; a failure is only logged, because the decision is written already."""
    try:
        for uri in abandoned_uploads(prefix):
            log.info("deleting %s: its upload has not finished", uri)
            discard(uri)
    except (UserError, UnavailableError) as error:
        log.warning("cannot delete unfinished versions: %s", error)


def _earlier_decision(release: Release, latest: Entry | None, history: list[Entry]) -> Entry | None:
    """Returns the earlier entry of this same model if its decision still holds."""
    if latest and latest.model_fingerprint == release.model_fingerprint:
        return latest
    for item in history:
        same = (item.model_fingerprint, item.fingerprints) == (release.model_fingerprint, release.fingerprints)
        same = same and item.metric_name == release.dataset.manifest.metric
        if same and latest and item.earlier_version == latest.version and item.earlier_metric is not None:
            return None if _criterion(release, item.earlier_metric).passes(item.metric) else item
    return None


def _decide(release: Release, latest: Entry | None, history: list[Entry], cache: Path, uploaded: str) -> Entry:
    """Evaluates the model and the published one, and decides whether to publish.

    `uploaded` is the version that this run has uploaded already; empty if none.
    """
    config = release.config
    measured = _evaluate(release, config.model)
    metric = measured.metrics[release.dataset.manifest.metric]
    if math.isnan(metric):
        raise UserError(
            f"not published: {_why_undefined(release, config.model, measured)}; train it again, add rows with other "
            "labels, or choose another metric"
        )
    earlier, difference, changed, published = None, None, ["data", "teacher", "parameters", "version"], True
    reason, folder = "nothing was published before", None
    if latest:
        folder = fetch(join(config.publish_uri, latest.version), cache, require_manifest=True)
        _check_labels(release, folder)
        before = _evaluate(release, folder)
        earlier = before.metrics[release.dataset.manifest.metric]
        difference = _difference(release, "validation", measured, before)
        changed = [name for name, value in release.fingerprints.items() if latest.fingerprints.get(name) != value]
        criterion = _criterion(release, earlier)
        published = criterion.passes(metric)
        rows = release.dataset.manifest.splits["validation"]
        reason = f"{criterion.describe(metric, difference)}; the baseline is {latest.version} on the same {rows} rows"
        if math.isnan(earlier):
            earlier, difference, published = None, None, True
            reason = _why_undefined(release, latest.version, before)
    # Only reported: the decision is made.
    test = _evaluate_on_test(release, config.model)
    earlier_test = _evaluate_on_test(release, folder) if folder and earlier is not None else None
    test_difference = _difference(release, TEST, test, earlier_test)
    if earlier is not None:
        reason = f"{reason} ({_describe_test(release, test, earlier_test, test_difference)})"
    now = datetime.now(UTC)
    return Entry(
        version=(uploaded or _version(release, history, now)) if published else "",
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
        difference=difference,
        test_rows=release.dataset.manifest.splits.get(TEST),
        test_metric=_score(test),
        earlier_test_metric=_score(earlier_test),
        test_difference=test_difference,
        size_bytes=release.measured.size_bytes,
        p50_ms=release.measured.batches[release.benchmark.batch_sizes[0]].p50_ms,
        model_fingerprint=release.model_fingerprint,
        fingerprints=release.fingerprints,
        run_id=config.run_id,
    )


def _criterion(release: Release, earlier: float) -> Criterion:
    """Returns the criterion against the published model's score."""
    return Criterion.create(release.dataset.manifest.metric, earlier, release.config.max_loss_to_published_points / 100)


def _evaluate(release: Release, folder: Path) -> Evaluation:
    """Evaluates a model on the validation split, in the runtime that serves it on this CPU."""
    return evaluate_folder(folder, release.dataset.path, **_serving_options(release, folder))


def _evaluate_on_test(release: Release, folder: Path) -> Evaluation | None:
    """Evaluates a model on the test split, likewise; None if the data has no labelled test split."""
    return evaluate_on_test(folder, release.dataset, **_serving_options(release, folder))


def _score(evaluation: Evaluation | None) -> float | None:
    """Returns the primary metric, which is the first one."""
    return next(iter(evaluation.metrics.values())) if evaluation else None


def _difference(
    release: Release, split: str, measured: Evaluation | None, earlier: Evaluation | None
) -> Difference | None:
    """Returns the paired difference to the published model on a split; None unless both were evaluated on it."""
    if measured is None or earlier is None:
        return None
    metric, labels = release.dataset.manifest.metric, release.dataset.labels(split)
    return paired_difference(metric, measured.logits, earlier.logits, labels)


def _why_undefined(release: Release, name: str | Path, evaluation: Evaluation) -> str:
    """Returns why a model's score on validation is NaN."""
    metric, labels = release.dataset.manifest.metric, release.dataset.labels("validation")
    reason = why_undefined(metric, labels, evaluation.logits)
    return f"{metric_label(metric)} of {name} is undefined on validation, since {reason}"


def _serving_options(release: Release, folder: Path) -> dict[str, Any]:
    runtime, precision = serving_runtime(folder)
    return {
        "runtime": runtime,
        "precision": precision,
        "max_length_tokens": release.config.max_length_tokens,
    }


def _describe_test(
    release: Release, test: Evaluation | None, earlier: Evaluation | None, difference: Difference | None
) -> str:
    """Returns both scores on the test split and their difference, or else a note that there are none."""
    if test is None or earlier is None or difference is None:
        return CHOSEN_ON_THESE_ROWS
    metric = release.dataset.manifest.metric
    scores = HeldOutScores(rows=difference.rows, measured=test.metrics[metric], baseline=earlier.metrics[metric])
    return f"{scores.describe()}, {describe_interval(difference, metric)}"


def _check_labels(release: Release, folder: Path) -> None:
    """Checks that the published model has the labels of the data, since only then can the two be compared."""
    config = AutoConfig.from_pretrained(folder)
    data_labels = release.dataset.manifest.label_names
    labels = [config.id2label[index] for index in range(config.num_labels)]
    if len(labels) != release.dataset.manifest.num_labels or (data_labels and labels != data_labels):
        raise UserError(
            f"the model published at {release.config.publish_uri} has the labels {', '.join(labels)}, but the data has "
            f"{', '.join(data_labels) or 'numbers'}: choose another publish_uri for this data"
        )


def _version(release: Release, history: list[Entry], now: datetime) -> str:
    last = history[-1] if history else None
    if last and last.published and last.model_fingerprint == release.model_fingerprint:
        return last.version  # A run was killed before it wrote latest.json.
    version = release.config.version or f"{now:%Y%m%dT%H%M%SZ}-{release.model_fingerprint[:8]}"
    if exists(join(release.config.publish_uri, version)):
        raise UserError(f"version {version} already exists at {release.config.publish_uri}: choose another version")
    return version


def _describe(release: Release, entry: Entry) -> str:
    if entry.published:
        score = f"{metric_label(entry.metric_name)} {format_score(entry.metric)}"
        score += f", {format_score(entry.test_metric)} on test" if entry.test_metric is not None else ""
        return f"published {entry.version} at {release.config.publish_uri}: {score} ({entry.reason})"
    return f"not published, {entry.earlier_version} stays: {entry.reason}"


def _describe_earlier(release: Release, entry: Entry) -> str:
    if entry.published:
        return f"{entry.version}: the same model is published at {release.config.publish_uri}"
    return f"{entry.time}: {_describe(release, entry)}"
