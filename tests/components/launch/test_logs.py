"""The log of a container is followed through messages of the kubelet, and in every time zone of a node."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from compaware.components.launch.logs import LogFollower

# What the kubelet answers, with status 200 and without a time stamp, for a container whose log it cannot find.
NO_LOG = "unable to retrieve container logs for containerd://2dfbfdbbb8d6343290f607fe48ed2106d337ca9a59c54d229f09d8"


class Kubelet:
    """Answers each request for a log with the next list of lines, and the last list again and again."""

    def __init__(self, *answers: list[str]):
        self._answers = list(answers)
        self.queries: list[dict[str, str]] = []

    def lines(self, path: str, **query: str) -> Iterator[str]:
        self.queries.append(query)
        return iter(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])


def pod(state: str, restarts: int = 0) -> dict[str, Any]:
    status = {"name": "pytorch", "restartCount": restarts, "state": {state: {}}}
    return {"metadata": {"name": "job-master-0", "uid": "1"}, "status": {"containerStatuses": [status]}}


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Kubelet], tuple[LogFollower, list[str]]]]:
    """Starts a follower of a kubelet's log; returns it and the lines that it shows."""
    monkeypatch.setattr("compaware.components.launch.logs._PAUSE_S", 0.01)
    followers = []

    def start(kubelet: Kubelet) -> tuple[LogFollower, list[str]]:
        shown: list[str] = []
        follower = LogFollower(kubelet, "team", "pytorch", shown.append)
        followers.append(follower)
        follower.start()
        return follower, shown

    yield start
    for follower in followers:
        follower.finish(0.0)


def test_a_message_of_the_kubelet_does_not_end_a_log(
    follow: Callable[[Kubelet], tuple[LogFollower, list[str]]],
) -> None:
    first, second = "2030-01-01T00:00:01.000000001Z step 1", "2030-01-01T00:00:02.000000001Z step 2"
    kubelet = Kubelet([first, NO_LOG], [NO_LOG], [NO_LOG], [first, second])
    follower, shown = follow(kubelet)
    follower.update(pod("terminated"))
    while len(kubelet.queries) < 4:
        time.sleep(0.01)
    follower.finish(10.0)
    assert shown == ["step 1", "step 2"]


def test_a_log_that_is_gone_does_not_delay_the_end(follow: Callable[[Kubelet], tuple[LogFollower, list[str]]]) -> None:
    follower, shown = follow(Kubelet([NO_LOG]))
    follower.update(pod("terminated"))
    started = time.monotonic()
    follower.finish(10.0)
    assert shown == [] and time.monotonic() - started < 5.0


def test_a_node_outside_utc_has_a_log(follow: Callable[[Kubelet], tuple[LogFollower, list[str]]]) -> None:
    before = "2030-01-01T01:30:00.900000000+02:00 before"
    after = "2029-12-31T18:30:00.900000000-05:00 after"
    kubelet = Kubelet([before], [before, after])
    follower, shown = follow(kubelet)
    follower.update(pod("running"))
    while len(kubelet.queries) < 3:
        time.sleep(0.01)
    follower.finish(10.0)
    assert shown == ["before", "after"]
    assert kubelet.queries[1]["sinceTime"] == "2029-12-31T23:30:00Z"
