"""Identity of a stage's result: a hash of its settings and of the content of its inputs."""

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

# Values of keys with these endings are paths, URIs or hub ids. Of a hub id, only the name is hashed.
_SOURCES = ("data", "dataset", "model", "soft_labels", "student", "teacher", "tokenizer")


def identity_of(config: ComponentConfig) -> str:
    """Returns the SHA-256 of a stage's settings and inputs, without its work and output paths.

    Raises:
        UserError: An input does not exist, or its store denies access.
        UnavailableError: The store does not answer.
    """
    return hash_settings({key: _describe(key, value) for key, value in result_settings(config.model_dump()).items()})


def content_of(source: str) -> str:
    """Returns a hash of the content of a path or URI; returns any other name, such as a hub id, unchanged."""
    if is_uri(source):
        return fingerprint(source)
    path = Path(source).expanduser()
    if path.is_file():
        return sha256_of(path)
    return _folder_content(path) if path.is_dir() else source


def _folder_content(folder: Path) -> str:
    """Returns the SHA-256 over a folder's files; hidden files are ignored."""
    hashes = {name: sha256_of(file) for name, file in list_files(folder).items() if "/." not in f"/{name}"}
    if FILE_NAME in hashes:
        # A stage's summary contains times, so its identity is hashed instead. A file of this name from elsewhere is not
        # a summary.
        with suppress(UserError):
            hashes[FILE_NAME] = Summary.load(folder).identity
    return hashlib.sha256(json.dumps(hashes).encode()).hexdigest()


def sources_of(values: dict[str, Any]) -> list[str]:
    """Returns the paths, URIs and hub ids in a pipeline's or a component's settings, including nested ones."""
    sources = []
    for key, value in values.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, dict):
                sources += sources_of(item)
            elif isinstance(item, str) and item and key.endswith(_SOURCES):
                sources.append(item)
    return sources


def _describe(key: str, value: Any) -> Any:
    """Returns a value with every input replaced by the hash of its content."""
    if isinstance(value, dict):
        return {name: _describe(name, item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_describe(key, item) for item in value]
    is_source = isinstance(value, Path) or (isinstance(value, str) and key.endswith(_SOURCES))
    return content_of(str(value)) if is_source and value else value
