"""Reads the settings of a site, which are compiled into its pipelines."""

from functools import cache
from pathlib import Path
from typing import Any

import compaware.components
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import read_values, suggest, validate
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import JOB
from compaware.components.launch.options import JobOptions
from compaware.components.launch.pod_settings import DEFAULT, LAUNCHER, Pods, SiteSettings
from compaware.pipelines.client.catalog import config_class
from compaware.pipelines.task_settings import check_task_settings

COMPONENTS = Path(compaware.components.__file__).parent


def read_site(file: Path) -> SiteSettings:
    """Reads a site's settings from a YAML or JSON file.

    Raises:
        UserError: The file cannot be read, or a setting is unknown, invalid, or not possible with KFP.
    """
    values = read_values(SiteSettings, file, [])
    try:
        settings = validate(SiteSettings, values)
        check_pods(settings.pods)
    except UserError as error:
        # A run has settings of the same names.
        raise UserError(f"site file {file}: {error}") from error
    return settings


def run_pods(job: dict[str, Any], site: Pods) -> Pods:
    """Returns the settings of pods of a run, after checking that they fit those of the site.

    Args:
        job: The run's parameter `job`.
        site: The site's settings.

    Raises:
        UserError: Settings of a job do not fit together.
    """
    options = validate(JobOptions, job)
    for name, config in _components().items():
        if _trains(config):
            options.for_component(name, site)
    return options.pods


def check_pods(pods: Pods) -> None:
    """Checks that settings of pods name existing components, and that KFP can apply them to its tasks.

    Raises:
        UserError: There is no such component, or KFP cannot apply a setting.
    """
    components = _components()
    for name in pods:
        if name not in (DEFAULT, LAUNCHER, *components):
            hint = suggest(name, [DEFAULT, LAUNCHER, *components], "pods.")
            raise UserError(f"'pods.{name}' names no component: {hint}")
        if _starts_jobs_of_others(components.get(name)):
            raise UserError(f"'pods.{name}': its pods wait for jobs; set pods.{LAUNCHER}, or the jobs' components")
    check_task_settings(pods, {name: _trains(config) for name, config in components.items()})


@cache
def _components() -> dict[str, type[ComponentConfig] | None]:
    # notify has no configuration.
    names = sorted(file.parent.name for file in COMPONENTS.glob("*/metadata.yaml"))
    return {name: config_class(name) for name in names}


def _trains(config: type[ComponentConfig] | None) -> bool:
    return config is not None and config.interface.job and not _starts_jobs_of_others(config)


def _starts_jobs_of_others(config: type[ComponentConfig] | None) -> bool:
    return config is not None and JOB in config.model_fields
