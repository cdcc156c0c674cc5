"""Compiles the pipelines to KFP's YAML."""

import importlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from kfp import compiler

from compaware.pipelines.client import catalog
from compaware.pipelines.client.packages import for_site
from compaware.pipelines.definition import notifying


def compiled_specs(
    output: Path | None = None, images: Mapping[str, str] | None = None, pull_secrets: Sequence[str] = ()
) -> dict[Path, str]:
    """Returns the content of each pipeline's YAML file.

    Args:
        output: Folder for files named after the pipelines; by default, each file is in its pipeline's folder.
        images: Images of a site by component image; None for those built on this machine.
        pull_secrets: Secrets with which the site's nodes pull them.
    """
    files = {
        name: output / f"{name}.yaml" if output else catalog.folder(name) / catalog.SPEC_NAME
        for name in catalog.names()
    }
    return {file: for_site(compile_pipeline(name), images, pull_secrets) for name, file in files.items()}


def compile_pipeline(name: str, notify: bool = False) -> str:
    """Compiles one pipeline to KFP's intermediate YAML.

    Args:
        name: Name of the pipeline.
        notify: Whether to add the exit task that reports the run's result to a webhook.
    """
    pipeline = getattr(importlib.import_module(f"compaware.pipelines.{name}.pipeline"), name)
    pipeline = notifying(pipeline) if notify else pipeline
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / catalog.SPEC_NAME
        compiler.Compiler().compile(pipeline, str(file))
        return file.read_text(encoding="utf-8")
