"""Runs a component in this process, as its entry point does."""

from types import ModuleType
from typing import Any

from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.workspace import run_stage


def run_component(module: ModuleType, config_class: type[ComponentConfig], **values: Any) -> Summary:
    """Validates the configuration and runs the component's `run`."""
    config = validate(config_class, values)
    return run_stage(config, lambda workspace: module.run(config, workspace))
