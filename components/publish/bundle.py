"""Writes a version's folder: the model, and the files that a person or a server needs to use it."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from compaware.components import images
from compaware.components.benchmark.report.formatting import (
    capitalized,
    display_name,
    format_score,
    format_size,
    runtime_and_precision,
)
from compaware.components.benchmark.results import FILE_NAME
from compaware.components.core.base.files import write_text
from compaware.components.core.base.rendering import render
from compaware.components.core.evaluation.calibration import read_temperature
from compaware.components.core.evaluation.held_out import describe_rows
from compaware.components.core.evaluation.metrics import metric_label
from compaware.components.core.runtimes.formats import ONNX_FILE, OPENVINO_FILE
from compaware.components.publish.card import card_metadata, limits
from compaware.components.publish.history_files import Entry
from compaware.components.publish.release import Release, model_files, stage_settings, storage_uri

# OpenVINO Model Server expects the model's files in a folder whose name is a number.
_SERVING_FOLDER = "serving"
_SERVING_VERSION = "1"


# What was chosen on validation, by the model's role.
_CHOSEN = {
    "student": "the checkpoint and this version",
    "sparse": "the checkpoint and this version",
    "int8": "the checkpoint, the quantization and this version",
}


def write_version(release: Release, entry: Entry, folder: Path) -> None:
    """Writes all files of a version.

    Args:
        release: The model and its provenance.
        entry: The version's entry in the history.
        folder: Folder for the files; replaced if it exists.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in model_files(release.config.model):
        shutil.copy(file, folder)
    for name in (FILE_NAME, "report.html"):
        shutil.copy(release.config.results / name, folder)
    if release.role == "int8":
        serving = folder / _SERVING_FOLDER / _SERVING_VERSION
        serving.mkdir(parents=True)
        for name in (OPENVINO_FILE, OPENVINO_FILE.replace(".xml", ".bin")):
            shutil.copy(folder / name, serving)
    write_text(folder / "provenance.json", TypeAdapter(Any).dump_json(provenance(release, entry), indent=2).decode())
    load = _render("load.py.j2", release, entry)
    write_text(folder / "load.py", load)
    write_text(folder / "inference-service.yaml", _render("inference-service.yaml.j2", release, entry))
    write_text(folder / "README.md", _render("card.md.j2", release, entry, load=load))


def provenance(release: Release, entry: Entry) -> dict[str, Any]:
    """Returns everything that is known about how a version was produced."""
    manifest = release.dataset.manifest
    return {
        "version": entry.version,
        "published_at": entry.time,
        "run_id": release.config.run_id or None,
        "product": {
            "name": "compaware",
            "version": images.VERSION,
            "git_revision": git_revision(),
            "image": images.current()["benchmark"] if "KFP_POD_NAME" in os.environ else None,
        },
        "model_fingerprint": entry.model_fingerprint,
        "fingerprints": entry.fingerprints,
        "data": manifest.model_dump(mode="json"),
        "decision": entry.model_dump(mode="json"),
        "stages": [stage.model_dump(mode="json", exclude={"facts"}) for stage in release.stages],
    }


def git_revision() -> str | None:
    """Returns the commit that this package was built from: from a file in an image, from git in a checkout."""
    file = Path(sys.prefix) / "compaware-revision"
    if file.is_file():
        return file.read_text(encoding="utf-8").strip() or None
    # If this file is not tracked, git would describe another project's repository around an installed package.
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(*arguments: str) -> str | None:
    """Returns git's output in this file's folder; None if git is missing or fails."""
    try:
        process = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()


def _render(template: str, release: Release, entry: Entry, **more: Any) -> str:
    manifest = release.dataset.manifest
    return render(
        template,
        "publish",
        release=release,
        entry=entry,
        manifest=manifest,
        is_pair=len(manifest.text_columns) > 1,
        onnx_file=ONNX_FILE if release.role == "int8" else None,
        max_length_tokens=release.max_length_tokens,
        storage_uri=storage_uri(
            release.config.publish_uri,
            f"{entry.version}/{_SERVING_FOLDER}" if release.role == "int8" else entry.version,
        ),
        metadata=yaml.safe_dump(card_metadata(release, entry), sort_keys=False, allow_unicode=True, width=math.inf),
        settings=[(stage.component, _format_settings(stage_settings(stage))) for stage in release.stages],
        candidates=[
            (display_name(item.name), runtime_and_precision(item), item, item.batches[release.benchmark.batch_sizes[0]])
            for item in release.benchmark.candidates
        ],
        has_test=any(item.test for item in release.benchmark.candidates),
        source=_format_settings(manifest.source),
        limits=limits(release),
        temperature=read_temperature(release.config.model),
        rows=describe_rows(manifest, _CHOSEN[release.role]),
        metric=capitalized(metric_label(entry.metric_name)),
        git_revision=git_revision(),
        format_score=format_score,
        format_size=format_size,
        **more,
    )


def _format_settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items() if value not in ([], {}, False, "", None))
