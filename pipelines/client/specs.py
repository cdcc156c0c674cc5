"""Compiles the pipelines to KFP's YAML."""

import importlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from google.protobuf.json_format import MessageToDict
from kfp import compiler

from compaware.components.core.base.errors import UserError, first_line
from compaware.components.core.base.values import plain_kind
from compaware.components.launch.pod_settings import RunLimits, SiteSettings
from compaware.pipelines.client import catalog
from compaware.pipelines.client.forms import Form
from compaware.pipelines.client.packages import for_site
from compaware.pipelines.definition import notifying, redefined
from compaware.pipelines.task_pods import compiled_with
from compaware.pipelines.task_settings import PLAIN, Layers


def compiled_specs(
    output: Path | None = None,
    site: SiteSettings | None = None,
    images: Mapping[str, str] | None = None,
    pull_secrets: Sequence[str] = (),
) -> dict[Path, str]:
    """Returns the content of each pipeline's YAML file.

    Args:
        output: Folder for files named after the pipelines; by default, each file is in its pipeline's folder.
        site: The site's settings.
        images: Images of a site by component image; None for those built on this machine.
        pull_secrets: Secrets with which the site's nodes pull them.
    """
    files = {
        name: output / f"{name}.yaml" if output else catalog.folder(name) / catalog.SPEC_NAME
        for name in catalog.names()
    }
    layers = Layers(site.pods, limits=site.runs) if site else PLAIN
    compiled = {file: compile_pipeline(name, layers=layers) for name, file in files.items()}
    return {file: for_site(text, images, pull_secrets) for file, text in compiled.items()}


def compile_pipeline(name: str, notify: bool = False, layers: Layers = PLAIN) -> str:
    """Compiles one pipeline to KFP's intermediate YAML.

    Args:
        name: Name of the pipeline.
        notify: Whether to add the exit task that reports the run's result to a webhook.
        layers: What the site and the run set.

    Raises:
        UserError: KFP refuses a setting of a pod.
    """
    pipeline = getattr(importlib.import_module(f"compaware.pipelines.{name}.pipeline"), name)
    if notify or layers != PLAIN:
        with compiled_with(layers):
            try:
                pipeline = notifying(pipeline) if notify else redefined(pipeline)
            except ValueError as error:
                raise UserError(f"KFP refuses the settings of pods: {first_line(error)}") from error
    _add_choices(pipeline.pipeline_spec)
    _set_limits(pipeline.platform_spec, layers.limits)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / catalog.SPEC_NAME
        compiler.Compiler().compile(pipeline, str(file))
        return file.read_text(encoding="utf-8")


def _add_choices(spec: Any) -> None:
    """Lists the choices of a pipeline's parameters, which KFP's UI shows as drop-downs since 2.16.

    KFP's compiler does not write them, because it does not accept `Literal` as the type of a parameter.

    Args:
        spec: The pipeline's `PipelineSpec`, which is changed.
    """
    kinds = Form.of(MessageToDict(spec)).kinds
    for name, parameter in spec.root.input_definitions.parameters.items():
        plain, *choices = plain_kind(kinds[name])
        if plain is Literal:
            del parameter.literals[:]
            for choice in choices:
                parameter.literals.add(string_value=choice)


def _set_limits(spec: Any, limits: RunLimits) -> None:
    """Sets what KFP's `PipelineConfig` sets in a `PlatformSpec`."""
    hours = {"active_deadline_seconds": limits.timeout_hours, "resource_ttl_on_completion": limits.keep_finished_hours}
    for name, value in hours.items():
        if value:
            setattr(spec.platforms["kubernetes"].pipelineConfig, name, round(value * 3600))
