"""Builds a pipeline's parameters from the interfaces of its components.

A parameter of a pipeline has the type, default and description of the component's parameter that it sets, so that
nothing is written twice. `@compression_pipeline(*steps)` gives KFP a function with these typed parameters.
"""

import dataclasses
import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp import dsl, kubernetes

from compaware.components.core.base import store_names
from compaware.components.core.stage.interface import OPTIONS
from compaware.components.launch import site
from compaware.components.notify.component import notify
from compaware.components.task_config import PARAMETER
from compaware.pipelines.task_pods import configure, name_node

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """A component in a pipeline, and the pipeline's parameters that set its own.

    Attributes:
        component: The KFP component.
        prefix: Prefix of the component's `options` in a pipeline: with `student`, they are called `student_options`.
        names: Component parameter to pipeline parameter, for other names that differ. A pipeline parameter may set
            parameters of several steps; its type and default are those of the first.
        given: Parameters of the component that the pipeline's function sets.
        descriptions: Descriptions of parameters that mean more in a pipeline than in this component.
        cpu: CPU limit of the task's pod, in Kubernetes notation. The default is enough for a pod that waits for a job.
        memory: Memory limit of the task's pod.
        cached: Whether KFP may reuse the result of an earlier run with the same inputs. False for a component that
            reads or writes data outside of KFP.
        secrets: Further secrets of the site that the component reads: name to key and its environment variable.
        measures: Whether the component measures its machine, so that its report names the node.
    """

    component: Any
    prefix: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=dict)
    cpu: str = "500m"
    memory: str = "1Gi"
    cached: bool = True
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    measures: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "component", _without_task_config(self.component))

    @property
    def parameters(self) -> dict[str, str]:
        """Returns pipeline parameter to component parameter."""
        names = {OPTIONS: f"{self.prefix}_{OPTIONS}", **self.names}
        inputs = self.component.component_spec.inputs or {}
        keys = [key for key, spec in inputs.items() if "@" not in str(spec.type) and key not in self.given]
        return {names.get(key, key): key for key in keys}

    def __call__(self, arguments: Arguments, **inputs: Any) -> Any:
        """Adds the step to the pipeline that is being defined.

        Args:
            arguments: Values of all the pipeline's parameters.
            inputs: Artifacts and parameters from other steps.

        Returns:
            The KFP task.
        """
        task = self.component(**inputs, **{key: arguments[name] for name, key in self.parameters.items()})
        if not self.cached:
            task.set_caching_options(False)
        given = configure(task, self.component.python_func.__name__, self.cpu, self.memory)
        if self.measures:
            name_node(task)
        # All are optional, for sites that do not need them or use another way.
        secrets = {store_names.KFP_SECRET: store_names.KFP_SECRET_KEYS, site.HUB_SECRET: site.HUB_KEYS, **self.secrets}
        for secret, keys in secrets.items():
            kubernetes.use_secret_as_env(task, secret, dict(keys), optional=True)
        kubernetes.use_config_map_as_env(
            task, store_names.KFP_CONFIG_MAP, store_names.KFP_CONFIG_MAP_KEYS, optional=True
        )
        return _with_site(task, given, *site.VARIABLES)


def _without_task_config(component: Any) -> Any:
    """Returns a component without the parameter that KFP servers before 2.15 refuse; they parse pipelines strictly."""
    spec = component.component_spec
    inputs = {name: given for name, given in (spec.inputs or {}).items() if name != PARAMETER}
    reduced = dataclasses.replace(spec, inputs=inputs, task_config_passthroughs=None)
    return type(component)(component_spec=reduced, python_func=component.python_func)


def _with_site(task: Any, given: set[str], *variables: str) -> Any:
    """Adds the site's ConfigMaps to a task; variables that are given take precedence over them."""
    names = {variable: variable for variable in variables if variable not in given}
    kubernetes.use_config_map_as_env(task, site.CONFIG_MAP, names, optional=True)
    return kubernetes.use_config_map_as_volume(task, site.CA_CONFIG_MAP, site.CA_FOLDER, optional=True)


def compression_pipeline(*steps: Step) -> Callable[[Callable[[Arguments], None]], Any]:
    """Turns a function that connects steps into a KFP pipeline.

    Args:
        steps: The steps whose parameters the pipeline has, in order.

    Returns:
        A decorator for a function of one mapping, parameter name to value.
    """

    def decorate(wire: Callable[[Arguments], None]) -> Any:
        parameters, descriptions = _parameters(steps)

        def pipeline(*values: Any) -> None:
            wire(dict(zip(parameters, values, strict=True)))

        documented = [f"{name}: {' '.join(text.split())}" for name, text in descriptions.items()]
        arguments = textwrap.indent("\n".join(documented), "    ")
        pipeline.__name__ = wire.__name__
        pipeline.__doc__ = f"{inspect.getdoc(wire)}\n\nArgs:\n{arguments}\n"
        # KFP reads the interface with inspect.signature, which looks here first.
        pipeline.__dict__["__signature__"] = inspect.Signature(list(parameters.values()))
        # A pipeline that is called like one of its components cannot be loaded from its YAML.
        return dsl.pipeline(name=f"compaware-{wire.__name__.replace('_', '-')}")(pipeline)

    return decorate


def redefined(pipeline: Any) -> Any:
    """Returns a pipeline with the settings of pods that are in effect (`task_pods.compiled_with`).

    Args:
        pipeline: A pipeline made by `compression_pipeline`.
    """
    return dsl.pipeline(name=pipeline.pipeline_spec.pipeline_info.name)(pipeline.pipeline_func)


def notifying(pipeline: Any) -> Any:
    """Returns a pipeline with an exit task that reports to a webhook how the run ended.

    This is another version of the pipeline, not a parameter, because an exit task puts all stages into a group and adds
    two pods to each run. Users without a webhook should not see or pay for them.

    Args:
        pipeline: A pipeline made by `compression_pipeline`.
    """
    stages = pipeline.pipeline_func

    @functools.wraps(stages)
    def with_exit_task(*values: Any) -> None:
        ended = notify(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)
        given = configure(ended.set_caching_options(False), notify.python_func.__name__, "500m", "512Mi")
        kubernetes.use_secret_as_env(ended, site.WEBHOOK_SECRET, site.WEBHOOK_KEYS, optional=True)
        _with_site(ended, given, site.UI_VARIABLE, *site.VARIABLES)
        with dsl.ExitHandler(ended, name="stages"):
            stages(*values)

    return dsl.pipeline(name=pipeline.pipeline_spec.pipeline_info.name)(with_exit_task)


def _parameters(steps: tuple[Step, ...]) -> tuple[dict[str, inspect.Parameter], dict[str, str]]:
    parameters: dict[str, inspect.Parameter] = {}
    descriptions: dict[str, str] = {}
    for step in steps:
        signature = inspect.signature(step.component.python_func)
        for name, key in step.parameters.items():
            if name in parameters:
                continue
            description = step.component.component_spec.inputs[key].description
            component = step.component.python_func.__name__
            own = f"{component}: {description}" if key == OPTIONS else description
            descriptions[name] = step.descriptions.get(name) or own
            parameters[name] = signature.parameters[key].replace(name=name)
    return parameters, descriptions
