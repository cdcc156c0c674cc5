"""Finds out from events why a job has no pods."""

import logging
import time
from collections.abc import Iterator, Sequence

import urllib3
from kubernetes.client.exceptions import ApiException

from compaware.components.launch.api import Api, summarize

_SECONDS_BETWEEN_LOOKS = 20.0
log = logging.getLogger(__name__)


class Warnings:
    """The warning events about a job and about the objects between it and its pods.

    Args:
        api: The API.
        names: Names of these objects.
    """

    def __init__(self, api: Api, names: Sequence[str]):
        self._api = api
        self._names = names
        self._next_look_s = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        self._may_look = True

    def look(self) -> str:
        """Returns the same as `last`, but asks only every 20 s; empty in between."""
        if time.monotonic() < self._next_look_s:
            return ""
        self._next_look_s = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        return self.last()

    def last(self) -> str:
        """Returns the last warning; empty if there is none or this account may not list events."""
        if not self._may_look:
            return ""
        try:
            warnings = [warning for name in self._names for warning in self._of(name)]
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            self._may_look = not isinstance(error, ApiException) or error.status not in (401, 403)
            log.warning("cannot list the events of %s: %s", self._names[0], summarize(error))
            return ""
        return max(warnings, default=("", ""))[1]

    def _of(self, name: str) -> Iterator[tuple[str, str]]:
        """Yields time and text of the warnings about an object."""
        selector = f"involvedObject.name={name},type=Warning"
        for event in self._api.get(f"/api/v1/namespaces/{self._api.namespace}/events", fieldSelector=selector)["items"]:
            time_stamp = event.get("lastTimestamp") or event.get("eventTime") or ""
            yield time_stamp, f"{event['reason']}: {' '.join(event['message'].split())}"
