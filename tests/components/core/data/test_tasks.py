"""The task table is complete, and unknown tasks are rejected."""

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.core.data.tasks import TASKS, get_task
from compaware.components.core.evaluation.metrics import METRIC_NAMES


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_complete(name: str) -> None:
    task = get_task(name)
    assert len(task.text_columns) in (1, 2)
    assert task.metric in METRIC_NAMES
    assert (task.problem_type == "regression") == (not task.label_names)
    assert len(set(task.label_names)) == len(task.label_names) != 1
    assert task.metric != "f1" or len(task.label_names) == 2


def test_an_unknown_task_lists_the_choices() -> None:
    with pytest.raises(UserError) as caught:
        get_task("sst-2")
    assert all(name in str(caught.value) for name in TASKS)
