"""A version's folder: the model as it is, and beside it all that a person or a server needs to use it."""

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
from compaware.components.benchmark.formatting import display_name, format_size, runtime_and_precision
from compaware.components.benchmark.results import FILE_NAME
from compaware.components.core.base.files import write_text
from compaware.components.core.base.rendering import render
from compaware.components.core.runtimes.formats import ONNX_FILE, OPENVINO_FILE
from compaware.components.publish.card import limits, metadata
from compaware.components.publish.history_files import Entry
from compaware.components.publish.release import Release, model_files, parameters, storage_uri

# OpenVINO Model Server wants the model's files in a folder that is called by a number.
_SERVED = "serving"
_SERVED_VERSION = "1"


def fill(release: Release, entry: Entry, folder: Path) -> None:
    """Writes all files of a version.

    Args:
        release: The model and where it comes from.
        entry: What was decided.
        folder: Made anew.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in model_files(release.config.model):
        shutil.copy(file, folder)
    for name in (FILE_NAME, "report.html"):
        shutil.copy(release.config.results / name, folder)
    if release.role == "int8":
        served = folder / _SERVED / _SERVED_VERSION
        served.mkdir(parents=True)
        for name in (OPENVINO_FILE, OPENVINO_FILE.replace(".xml", ".bin")):
            shutil.copy(folder / name, served)
    write_text(folder / "provenance.json", TypeAdapter(Any).dump_json(provenance(release, entry), indent=2).decode())
    load = _render("load.py.j2", release, entry)
    write_text(folder / "load.py", load)
    write_text(folder / "inference-service.yaml", _render("inference-service.yaml.j2", release, entry))
    write_text(folder / "README.md", _render("card.md.j2", release, entry, load=load))


def provenance(release: Release, entry: Entry) -> dict[str, Any]:
    """Everything that is known of how a version came to be."""
    manifest = release.dataset.manifest
    return {
        "version": entry.version,
        "published_at": entry.time,
        "run_id": release.config.run_id or None,
        "product": {
            "name": "compaware",
            "version": images.VERSION,
            "git_revision": git_revision(),
            "image": images.BENCHMARK if "KFP_POD_NAME" in os.environ else None,
        },
        "model_fingerprint": entry.model_fingerprint,
        "fingerprints": entry.fingerprints,
        "data": manifest.model_dump(mode="json"),
        "decision": entry.model_dump(mode="json"),
        "stages": [stage.model_dump(mode="json", exclude={"facts"}) for stage in release.stages],
    }


def git_revision() -> str | None:
    """The commit that this package was built from; an image has it in a file, a checkout knows it."""
    file = Path(sys.prefix) / "compaware-revision"
    if file.is_file():
        return file.read_text(encoding="utf-8").strip() or None
    # A folder of packages inside somebody else's repository is not known to that one.
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(*words: str) -> str | None:
    """What git says in this file's folder; None where there is no git, or it does not agree."""
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *words], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


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
            f"{entry.version}/{_SERVED}" if release.role == "int8" else entry.version,
        ),
        metadata=yaml.safe_dump(metadata(release, entry), sort_keys=False, allow_unicode=True, width=math.inf),
        settings=[(stage.component, _words(parameters(stage))) for stage in release.stages],
        candidates=[
            (display_name(item.name), runtime_and_precision(item), item, item.batches[release.benchmark.batch_sizes[0]])
            for item in release.benchmark.candidates
        ],
        source=_words(manifest.source),
        limits=limits(release),
        git_revision=git_revision(),
        format_size=format_size,
        **more,
    )


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items() if value not in ([], {}, False, "", None))
