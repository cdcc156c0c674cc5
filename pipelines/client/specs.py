"""Compiles the pipelines to the YAML that is checked in beside them, or to a folder of the user's."""

import importlib
import tempfile
from pathlib import Path

from kfp import compiler

from compaware.pipelines.client import catalog
from compaware.pipelines.definition import notifying


def compiled_specs(output: Path | None = None) -> dict[Path, str]:
    """What each pipeline's YAML file should hold.

    Args:
        output: The folder of all files, each called like its pipeline; the pipelines' own folders when None.
    """
    files = {
        name: output / f"{name}.yaml" if output else catalog.folder(name) / catalog.SPEC_NAME
        for name in catalog.names()
    }
    return {file: compile_pipeline(name) for name, file in files.items()}


def compile_pipeline(name: str, notify: bool = False) -> str:
    """Compiles one pipeline to KFP's intermediate YAML.

    Args:
        name: Its name.
        notify: Add the exit task that tells a webhook how the run ended.
    """
    pipeline = getattr(importlib.import_module(f"compaware.pipelines.{name}.pipeline"), name)
    pipeline = notifying(pipeline) if notify else pipeline
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / catalog.SPEC_NAME
        compiler.Compiler().compile(pipeline, str(file))
        return file.read_text(encoding="utf-8")
