"""Finds which settings of pods, made by a site or a run, apply to the pods of KFP's tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compaware.components.core.base.errors import UserError
from compaware.components.launch.pod_settings import DEFAULT, LAUNCHER, Pods, RunLimits, SiteSettings, given, merge

# What KFP 2.17 cannot set for a task, and what to do instead. In `default`, these settings apply only to pods of jobs.
_FOR_WORKFLOWS = "set it for all Workflows in Argo's workflowDefaults"
NOT_FOR_TASKS = {
    "ephemeral_storage": "use a LimitRange of the namespace",
    "priority_class": _FOR_WORKFLOWS,
    "service_account": "use --service-account, which holds for all tasks of a run",
    "topology_spread": _FOR_WORKFLOWS,
}
NODE_AFFINITY = "nodeAffinity"
# The size of a pod that waits for a job does not depend on that of other pods.
_SIZES = ("cpu", "memory")


@dataclass(frozen=True)
class Layers:
    """The settings of a pipeline that is being compiled.

    Attributes:
        site: The site's settings of pods, by component.
        run: Those of the run's `job.pods`, which take precedence.
        limits: The site's limits of runs.
    """

    site: Pods = field(default_factory=dict)
    run: Pods = field(default_factory=dict)
    limits: RunLimits = field(default_factory=RunLimits)

    def of_task(self, name: str, trains: bool) -> dict[str, Any]:
        """Returns the settings of a task's pod.

        Args:
            name: The component's folder name.
            trains: Whether the task waits for a job; the component's own entries are then for the job's pods.
        """
        left_out = {*NOT_FOR_TASKS, *(_SIZES if trains else ())}
        layers = []
        for pods in (self.site, self.run):
            shared = given(pods.get(DEFAULT))
            layers += [
                {key: value for key, value in shared.items() if key not in left_out},
                given(pods.get(LAUNCHER if trains else name)),
            ]
        return merge(*layers)

    def of_jobs(self) -> str:
        """Returns the site's settings for the tasks that start jobs, as JSON; empty if there are none."""
        return SiteSettings(pods=dict(self.site)).model_dump_json(exclude_unset=True) if self.site else ""


# Nothing is set.
PLAIN = Layers()


def check_task_settings(pods: Pods, training: Mapping[str, bool]) -> None:
    """Checks that KFP can apply what `pods` sets for tasks.

    Args:
        pods: Settings by component, `default` or `launcher`.
        training: Whether a component trains in a job, by its folder name.

    Raises:
        UserError: An entry has a setting that KFP cannot apply.
    """
    for name, options in pods.items():
        if name == DEFAULT or training.get(name):
            continue
        settings = given(options)
        for key, advice in NOT_FOR_TASKS.items():
            if settings.get(key):
                raise UserError(f"pods.{name}.{key}: KFP cannot set it for a task; {advice}")
        for key in settings.get("affinity", {}).keys() - {NODE_AFFINITY}:
            raise UserError(f"pods.{name}.affinity.{key}: KFP can set only {NODE_AFFINITY} for a task; leave it out")
