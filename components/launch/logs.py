"""Copies rank 0's log to this task's log: no line is lost or repeated, and progress lines are limited."""

import datetime
import logging
import re
import threading
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import urllib3
from kubernetes.client.exceptions import ApiException

from compaware.components.launch.api import Api, is_transient, message_of

LAST_LINES = 20
PROGRESS = "progress: "
SECONDS_BETWEEN_PROGRESS = 10.0
_PAUSE_S = 1.0
# The kubelet writes the time zone of its node (kubernetes, pkg/kubelet/kuberuntime/logs/logs.go: timeFormatOut).
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
log = logging.getLogger(__name__)


class Container(NamedTuple):
    """One run of a container; a restart begins another run."""

    pod: str
    uid: str
    restarts: int
    started: bool
    ended: bool

    @classmethod
    def of(cls, pod: dict[str, Any], name: str) -> "Container":
        """Returns the current run of the container `name`."""
        statuses: list[dict[str, Any]] = pod["status"].get("containerStatuses", [])
        status = next((item for item in statuses if item["name"] == name), {})
        state = status.get("state", {})
        ended = "terminated" in state or pod["status"].get("phase") in ("Succeeded", "Failed")
        started = "running" in state or "terminated" in state
        metadata = pod["metadata"]
        return cls(metadata["name"], metadata["uid"], status.get("restartCount", 0), started, ended)


class Stamp(NamedTuple):
    """The time of a line in a log; time stamps are compared by it, whatever their time zone.

    Attributes:
        second: The whole second, in UTC.
        nanoseconds: The rest of the time.
    """

    second: datetime.datetime
    nanoseconds: int = 0

    @classmethod
    def parse(cls, text: str) -> "Stamp | None":
        """Returns the time of a kubelet's time stamp; None for another text."""
        match = _STAMP.fullmatch(text)
        if not match:
            return None
        second = datetime.datetime.fromisoformat(f"{match[1]}{match[3]}").astimezone(datetime.UTC)
        return cls(second, int((match[2] or "").ljust(9, "0")))


class Position:
    """The position in a log: the time of the last line read, and the number of lines with that time."""

    def __init__(self) -> None:
        self._time: Stamp | None = None
        self._count = 0
        self._skip = 0

    def resume(self) -> str | None:
        """Prepares to read again; returns the second to start from, or None for the whole log."""
        self._skip = self._count
        return self._time.second.strftime("%Y-%m-%dT%H:%M:%SZ") if self._time else None

    def is_new(self, time: Stamp) -> bool:
        """Whether a line with this time stamp is new; counts it as read."""
        if self._time and time < self._time:
            return False
        if time == self._time:
            if self._skip:
                self._skip -= 1
                return False
            self._count += 1
            return True
        self._time, self._count, self._skip = time, 1, 0
        return True


class ProgressFilter:
    """Passes a progress line at most every ten seconds of the log's time stamps, and every other line."""

    def __init__(self) -> None:
        self._last: datetime.datetime | None = None

    def passes(self, time: Stamp, line: str) -> bool:
        """Whether to show a line with this time stamp."""
        if PROGRESS not in line:
            return True
        if self._last and (time.second - self._last).total_seconds() < SECONDS_BETWEEN_PROGRESS:
            return False
        self._last = time.second
        return True


class LogFollower(threading.Thread):
    """Shows the log of a pod as it grows; continues after broken connections, restarts and replacements of the pod."""

    def __init__(self, api: Api, namespace: str, container: str, show: Callable[[str], None]):
        super().__init__(name="log", daemon=True)
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._container = container
        self._show = show
        self._target: Container | None = None
        self._read_to_end: tuple[str, int] | None = None
        self._position = Position()
        self._progress = ProgressFilter()
        self._wake = threading.Event()
        self._finishing = threading.Event()
        self._given_up = threading.Event()
        self._refused = ""

    def update(self, pod: dict[str, Any]) -> None:
        """Updates the state of rank 0's pod."""
        self._target = Container.of(pod, self._container)
        self._wake.set()

    def finish(self, timeout_s: float) -> None:
        """Shows the rest of a finished log, then stops; gives up after `timeout_s`."""
        self._finishing.set()
        self._wake.set()
        self.join(timeout_s)
        self._given_up.set()

    def run(self) -> None:
        """Follows the log until `finish` is called."""
        current: Container | None = None
        while not self._given_up.is_set():
            target = self._target
            if target is None or not target.started or self._read_to_end == (target.uid, target.restarts):
                if self._finishing.is_set():
                    return
                self._pause()
                continue
            # A replacement pod has the name of the lost pod, so the log read under this name may already be its log.
            # Time stamps are therefore compared across both pods.
            is_restart = current is not None and current.uid == target.uid and target.restarts > current.restarts
            if is_restart and self._read(target, previous="true") == "broken":
                self._pause()
                continue
            current = target
            # The end of the stream may be the end of the log or of the connection. The pod's status before reading
            # tells which, because more lines may be written while reading.
            will_grow = not target.ended and not self._finishing.is_set()
            outcome = self._read(target, follow="true")
            is_last_try = outcome == "unavailable" and self._finishing.is_set()
            if outcome == "gone" or (outcome == "end" and not will_grow) or is_last_try:
                self._read_to_end = (target.uid, target.restarts)
            else:
                self._pause()

    def _pause(self) -> None:
        self._wake.wait(_PAUSE_S)
        self._wake.clear()

    def _read(self, container: Container, **query: str) -> Literal["end", "broken", "unavailable", "gone"]:
        """Shows the new lines; returns how the stream ended, or that the kubelet has no log at the moment."""
        outcome: Literal["end", "unavailable"] = "end"
        since = self._position.resume()
        if since:
            query["sinceTime"] = since
        path = f"{self._path}/{container.pod}/log"
        try:
            for line in self._api.lines(path, container=self._container, timestamps="true", **query):
                stamp, _, text = line.partition(" ")
                time = Stamp.parse(stamp)
                # A line without a time stamp is a message of the kubelet, such as `unable to retrieve container logs
                # for containerd://…` while a container is replaced. It is not the end of the log.
                if time is None:
                    log.debug("the log of %s: %s", container.pod, line)
                    outcome = "unavailable"
                elif self._position.is_new(time) and self._progress.passes(time, text):
                    self._show(text)
        except ApiException as error:
            if error.status == 404:
                return "gone"
            if not is_transient(error) and self._refused != message_of(error):
                self._refused = message_of(error)
                log.warning("cannot read the log of %s now: %s", container.pod, self._refused)
            return "broken"
        except urllib3.exceptions.HTTPError:
            return "broken"
        return outcome


def last_lines(api: Api, namespace: str, pod: str, container: str, previous: bool) -> list[str]:
    """Returns the last lines of a container, or of its previous run; empty if they cannot be read."""
    query = {"container": container, "tailLines": str(LAST_LINES), "previous": str(previous).lower()}
    try:
        return list(api.lines(f"/api/v1/namespaces/{namespace}/pods/{pod}/log", **query))
    except (ApiException, urllib3.exceptions.HTTPError) as error:
        log.warning("cannot read the last lines of %s: %s", pod, error.__class__.__name__)
        return []
