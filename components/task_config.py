"""The settings of a task that KFP 2.15 and newer pass on to the job that the task starts.

They apply in pipelines that users write. The pipelines of this package leave the parameter out, because earlier servers
refuse a pipeline that has it.
"""

from kfp.dsl import TaskConfigField, TaskConfigPassthrough

PARAMETER = "task_config"
# The task itself needs the variables and the volumes, too: it reads the object store.
_FOR_THE_TASK_TOO = (TaskConfigField.ENV, TaskConfigField.KUBERNETES_VOLUMES)
PASSTHROUGHS = [
    TaskConfigPassthrough(field=passed, apply_to_task=passed in _FOR_THE_TASK_TOO) for passed in TaskConfigField
]
