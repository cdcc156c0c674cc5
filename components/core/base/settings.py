"""The settings that determine a stage's result."""

import hashlib
import json
from typing import Any

# Settings with these prefixes say where a stage works and how often it saves; they do not change its result.
_NO_EFFECT = ("work", "checkpoint")


def hash_settings(values: dict[str, Any]) -> str:
    """Returns the SHA-256 of the settings that determine a stage's result."""
    return hashlib.sha256(json.dumps(result_settings(values), sort_keys=True, default=str).encode()).hexdigest()


def result_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings, also in mappings of options, without those that only say where a stage works and writes."""
    return {
        key: result_settings(value) if key.endswith("options") and isinstance(value, dict) else value
        for key, value in values.items()
        if not key.startswith(_NO_EFFECT) and not key.endswith("output")
    }
