"""The settings that a stage's result follows from."""

import hashlib
import json
from typing import Any

# What begins so says where a stage works, and how often it saves: its result is the same.
_OF_THE_WORK = ("work", "checkpoint")


def hash_settings(values: dict[str, Any]) -> str:
    """SHA-256 of settings as they are, without those that say where a stage runs and writes."""
    return hashlib.sha256(json.dumps(result_settings(values), sort_keys=True, default=str).encode()).hexdigest()


def result_settings(values: dict[str, Any]) -> dict[str, Any]:
    """The settings without those that say where a stage runs and writes."""
    return {
        key: value for key, value in values.items() if not key.startswith(_OF_THE_WORK) and not key.endswith("output")
    }
