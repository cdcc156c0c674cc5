"""How a pipeline gets its parameters: out of the interfaces of the components that it is made of.

A pipeline's parameter has the type, default and description of the component's parameter that it feeds, so that nothing
is written twice. `@compression_pipeline(*steps)` gives KFP a function with just these typed parameters.
"""

import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp import dsl, kubernetes

from compaware.components.core.stage.interface import OPTIONS
from compaware.components.launch import site
from compaware.components.launch.options import OBJECT_STORE_KEYS, OBJECT_STORE_SECRET
from compaware.components.notify.component import notify

Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """A component in a pipeline, and the pipeline's parameters that feed it.

    Attributes:
        component: The KFP component.
        prefix: What its `options` are the options of: `student` makes them `student_options` in a pipeline.
        names: Component parameter to pipeline parameter, where they differ otherwise. One pipeline parameter may feed
            several steps; its type and default are those of the first.
        given: Parameters of the component that the pipeline's function sets.
        descriptions: Texts for the parameters that mean more in a pipeline than in this component.
        cpu: Most CPUs of the task's pod, as Kubernetes writes them; without, those of a pod that only waits for a job.
        memory: Most memory of it.
        cached: Whether KFP may take the result of an earlier run with the same inputs; not where the world outside of
            KFP is read or written.
    """

    component: Any
    prefix: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=dict)
    cpu: str = "500m"
    memory: str = "1Gi"
    cached: bool = True

    @property
    def parameters(self) -> dict[str, str]:
        """Pipeline parameter to component parameter."""
        names = {OPTIONS: f"{self.prefix}_{OPTIONS}", **self.names}
        inputs = self.component.component_spec.inputs or {}
        theirs = [key for key, spec in inputs.items() if "@" not in str(spec.type) and key not in self.given]
        return {names.get(key, key): key for key in theirs}

    def __call__(self, arguments: Arguments, **inputs: Any) -> Any:
        """Adds the step to the pipeline that is being defined.

        Args:
            arguments: Values of all the pipeline's parameters.
            inputs: What the component takes from other steps.

        Returns:
            The KFP task.
        """
        task = self.component(**inputs, **{theirs: arguments[ours] for ours, theirs in self.parameters.items()})
        if not self.cached:
            task.set_caching_options(False)
        task.set_cpu_limit(self.cpu).set_memory_limit(self.memory)
        # Optional, all of them: sites that need none, or use another way, do without.
        kubernetes.use_secret_as_env(task, OBJECT_STORE_SECRET, OBJECT_STORE_KEYS, optional=True)
        kubernetes.use_secret_as_env(task, site.HUB_SECRET, site.HUB_KEYS, optional=True)
        return _with_site(task, *site.VARIABLES)


def _with_site(task: Any, *variables: str) -> Any:
    names = {variable: variable for variable in variables}
    kubernetes.use_config_map_as_env(task, site.CONFIG_MAP, names, optional=True)
    return kubernetes.use_config_map_as_volume(task, site.CA_CONFIG_MAP, site.CA_FOLDER, optional=True)


def compression_pipeline(*steps: Step) -> Callable[[Callable[[Arguments], None]], Any]:
    """Makes a KFP pipeline of a function that wires steps.

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


def notifying(pipeline: Any) -> Any:
    """The same pipeline with an exit task that tells a webhook how the run ended.

    It is another version of the pipeline, not a parameter: an exit task puts all stages into a group of their own, and
    costs each run two pods more, which those who want no notification should neither see nor pay for.

    Args:
        pipeline: A pipeline of this module's.
    """
    stages = pipeline.pipeline_func

    @functools.wraps(stages)
    def with_exit_task(*values: Any) -> None:
        ended = notify(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)
        ended.set_caching_options(False).set_cpu_limit("500m").set_memory_limit("512Mi")
        kubernetes.use_secret_as_env(ended, site.WEBHOOK_SECRET, site.WEBHOOK_KEYS, optional=True)
        _with_site(ended, site.UI_VARIABLE, *site.VARIABLES)
        with dsl.ExitHandler(ended, name="stages"):
            stages(*values)

    return dsl.pipeline(name=pipeline.pipeline_spec.pipeline_info.name)(with_exit_task)


def _parameters(steps: tuple[Step, ...]) -> tuple[dict[str, inspect.Parameter], dict[str, str]]:
    parameters: dict[str, inspect.Parameter] = {}
    descriptions: dict[str, str] = {}
    for step in steps:
        signature = inspect.signature(step.component.python_func)
        for ours, theirs in step.parameters.items():
            if ours in parameters:
                continue
            description = step.component.component_spec.inputs[theirs].description
            component = step.component.python_func.__name__
            own = f"{component}: {description}" if theirs == OPTIONS else description
            descriptions[ours] = step.descriptions.get(ours) or own
            parameters[ours] = signature.parameters[theirs].replace(name=ours)
    return parameters, descriptions
