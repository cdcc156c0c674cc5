"""The operators that the tests in tests/services play write what the real ones were seen to write.

`recorded` holds cut answers of training-operator 1.9 and of Kubeflow Trainer 2.3 with JobSet 0.12.
"""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from compaware.components.launch.api import Api
from compaware.components.launch.job import Job
from compaware.components.launch.options import JobOptions
from tests.services.launch.operator import OPERATORS, Operator
from tests.services.launch.proxy import Proxy

RECORDED = Path(__file__).parent / "recorded"


class Recorder:
    """Takes the place of the API of an operator and keeps what it writes to a job's status."""

    namespace = "team"

    def __init__(self, name: str):
        self.status: dict[str, Any] = {}
        self._name = name

    def get(self, path: str) -> dict[str, Any]:
        return {"items": [] if path.endswith("pods") else [{"metadata": {"name": self._name}, "status": self.status}]}

    def patch(self, path: str, body: dict[str, Any]) -> None:
        self.status |= body["status"]


def play(kind: str, name: str) -> tuple[Operator, Recorder]:
    recorder = Recorder(name)
    job = Job(name, "distillation", {}, JobOptions())
    return OPERATORS[kind](cast(Api, recorder), cast(Proxy, None), job), recorder


def without_times(status: dict[str, Any]) -> dict[str, Any]:
    times = ("lastTransitionTime", "lastUpdateTime")
    conditions = [{key: value for key, value in one.items() if key not in times} for one in status["conditions"]]
    return {**status, "conditions": conditions}


@pytest.mark.parametrize(
    ("file", "end"),
    [
        ("trainjob-complete.json", Operator.succeed.__name__),
        ("trainjob-failed.json", Operator.fail.__name__),
        ("pytorchjob-running.json", ""),
    ],
)
def test_a_status_is_the_recorded_one(file: str, end: str) -> None:
    recorded = json.loads((RECORDED / file).read_text(encoding="utf-8"))
    operator, recorder = play(recorded["kind"], recorded["metadata"]["name"])
    operator.set_conditions(operator.conditions_running())
    if end:
        getattr(operator, end)()
    assert without_times(recorder.status) == without_times(recorded["status"])


def test_the_event_of_a_denied_pod_is_the_recorded_one() -> None:
    _, kind, reason, about, message = (
        (RECORDED / "event-of-a-denied-pod.txt").read_text(encoding="utf-8").split(None, 4)
    )
    inner_job = about.removeprefix("job/")
    operator, _ = play("TrainJob", inner_job.removesuffix("-node-0"))
    event = operator.denied_event(message.strip().removeprefix("Error creating: "))
    assert (kind, event["reason"], event["message"]) == ("Warning", reason, message.strip())
    assert event["involvedObject"] == {"apiVersion": "batch/v1", "kind": "Job", "name": inner_job}
