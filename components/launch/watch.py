"""Keeps an eye on a list of objects, through dropped connections, expired versions and a server that is away."""

import json
import logging
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import urllib3
from kubernetes.client.exceptions import ApiException

from compaware.components.launch.api import Api, is_transient, pause_s, short

_SERVER_TIMEOUT_S = 60
log = logging.getLogger(__name__)


class Seen(NamedTuple):
    """What a watch reports: all objects of its list, by name, after each change."""

    source: str
    objects: Mapping[str, dict[str, Any]]


class Watch(threading.Thread):
    """Puts `Seen` into a queue whenever the list changes.

    Attributes:
        source: What is watched.
        last_contact_s: When the server last answered, by the monotonic clock.
        broken_since_s: Since when the list is not known to be up to date; None while it is.
        trouble: What broke it, in a few words.
    """

    def __init__(self, api: Api, source: str, path: str, selector: dict[str, str], events: "queue.Queue[Seen]"):
        super().__init__(name=f"watch-{source}", daemon=True)
        self._api = api
        self.source = source
        self._path = path
        self._selector = selector
        self._events = events
        self._objects: dict[str, dict[str, Any]] = {}
        self._stopped = threading.Event()
        self.last_contact_s = time.monotonic()
        self.broken_since_s: float | None = self.last_contact_s
        self.trouble = "no answer yet"

    def stop(self) -> None:
        """Ends the watch after its present request; reports nothing more."""
        self._stopped.set()

    def run(self) -> None:
        """Lists, then follows; goes on from the last version, or lists again where the server refuses that.

        No refusal ends the watch, since none says anything about the job: a server that has just started answers 403
        until it knows its users, 401 while a pod's token is renewed, 410 when a version is too old.
        """
        version = ""
        failures = 0
        while not self._stopped.is_set():
            last_contact_s = self.last_contact_s
            try:
                version = self._follow(version or self._list())
            except _BrokenOffError as error:
                version = error.version
                reason = str(error)
            except (ApiException, urllib3.exceptions.HTTPError, ValueError) as error:
                if isinstance(error, ApiException) and not is_transient(error):
                    version = ""
                reason = short(error)
            else:
                failures = 0
                continue
            if self.last_contact_s > last_contact_s:
                failures = 0
            self.trouble = reason
            if self.broken_since_s is None:
                self.broken_since_s = time.monotonic()
            if failures == 0:
                log.warning("lost the watch of the %s (%s): resuming", self.source, reason)
            self._stopped.wait(pause_s(failures))
            failures += 1

    def _list(self) -> str:
        listing = self._api.get(self._path, **self._selector)
        self._objects = {item["metadata"]["name"]: item for item in listing["items"]}
        self._report()
        return listing["metadata"]["resourceVersion"]

    def _follow(self, version: str) -> str:
        lines = self._api.lines(
            self._path,
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=version,
            timeoutSeconds=str(_SERVER_TIMEOUT_S),
            **self._selector,
        )
        self.broken_since_s = None
        try:
            for line in lines:
                version = self._take(json.loads(line), version)
                if self._stopped.is_set():
                    break
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise _BrokenOffError(version, short(error)) from error
        self.last_contact_s = time.monotonic()
        return version

    def _take(self, event: dict[str, Any], version: str) -> str:
        item = event["object"]
        if event["type"] == "ERROR":
            raise ApiException(status=item.get("code", 500), reason=item.get("reason"))
        if event["type"] == "DELETED":
            self._objects.pop(item["metadata"]["name"], None)
        elif event["type"] in ("ADDED", "MODIFIED"):
            self._objects[item["metadata"]["name"]] = item
        self._report()
        return item["metadata"]["resourceVersion"]

    def _report(self) -> None:
        self.last_contact_s = time.monotonic()
        if not self._stopped.is_set():
            self._events.put(Seen(self.source, dict(self._objects)))


class _BrokenOffError(ValueError):
    """A watch broke off; it can go on from a version."""

    def __init__(self, version: str, reason: str):
        super().__init__(reason)
        self.version = version
