"""What a stage's result follows from: its settings, and what its inputs hold rather than where they are."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.hashing import sha256_of
from compaware.components.core.base.settings import hash_settings, result_settings
from compaware.components.core.base.summary import FILE_NAME, Summary
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.storage import fingerprint, is_uri
from compaware.components.storage.upload_manifest import list_files

# Text under keys that end so is a path, a URI, or a hub id, of which only the name is known here.
_SOURCES = ("data", "dataset", "model", "soft_labels", "student", "teacher", "tokenizer")


def identity_of(config: ComponentConfig) -> str:
    """SHA-256 of a stage's settings and inputs; where it runs and writes is no part of it, so a resumed run may move.

    Raises:
        UserError: An input's store refuses, or has nothing there.
        UnavailableError: It does not answer.
    """
    return hash_settings({key: _describe(key, value) for key, value in result_settings(config.model_dump()).items()})


def content_of(source: str) -> str:
    """What tells the content of a path or URI from an earlier one; the name itself where it is neither."""
    if is_uri(source):
        return fingerprint(source)
    path = Path(source).expanduser()
    if path.is_file():
        return sha256_of(path)
    return _folder_content(path) if path.is_dir() else source


def _folder_content(folder: Path) -> str:
    """SHA-256 of a folder's files, but for hidden ones."""
    files = list_files(folder)
    found = {name: sha256_of(file) for name, file in files.items() if "/." not in f"/{name}"}
    if FILE_NAME in found:
        # A stage's summary holds times: what counts is what it followed from. Other people's may have the same name.
        with suppress(UserError):
            found[FILE_NAME] = Summary.load(folder).identity
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def sources_of(values: dict[str, Any]) -> list[str]:
    """Paths, URIs and hub ids among a pipeline's or a component's settings, also those in lists and mappings."""
    found = []
    for key, value in values.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, dict):
                found += sources_of(item)
            elif isinstance(item, str) and item and key.endswith(_SOURCES):
                found.append(item)
    return found


def _describe(key: str, value: Any) -> Any:
    """A value with fingerprints in the place of inputs."""
    if isinstance(value, dict):
        return {name: _describe(name, item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_describe(key, item) for item in value]
    is_source = isinstance(value, Path) or (isinstance(value, str) and key.endswith(_SOURCES))
    return content_of(str(value)) if is_source and value else value
