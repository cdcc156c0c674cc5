"""Compiles the pipelines to the YAML that is checked in beside them."""

import importlib
import tempfile
from pathlib import Path

from kfp import compiler

from compaware.pipelines.client import catalog


def compiled_specs() -> dict[Path, str]:
    """What each pipeline's YAML file should hold."""
    return {catalog.folder(name) / catalog.SPEC_NAME: compile_pipeline(name) for name in catalog.names()}


def compile_pipeline(name: str) -> str:
    """Compiles one pipeline to KFP's intermediate YAML."""
    pipeline = getattr(importlib.import_module(f"compaware.pipelines.{name}.pipeline"), name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / catalog.SPEC_NAME
        compiler.Compiler().compile(pipeline, str(file))
        return file.read_text(encoding="utf-8")
