"""Watches a list of objects; resumes after broken connections, expired versions and outages of the server."""

import json
import logging
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import urllib3
from kubernetes.client.exceptions import ApiException

from compaware.components.launch.api import Api, is_transient, pause_s, summarize

_SERVER_TIMEOUT_S = 60
# Errors from reading an answer that is not from the API server, such as a page of a proxy.
_NONSENSE = (ValueError, KeyError, TypeError)
log = logging.getLogger(__name__)


class Snapshot(NamedTuple):
    """All objects of a watched list, by name, after a change."""

    source: str
    objects: Mapping[str, dict[str, Any]]


class Watch(threading.Thread):
    """Puts a `Snapshot` into a queue whenever the list changes.

    Attributes:
        source: Name of the list.
        last_contact_s: Time of the server's last answer, by the monotonic clock.
        broken_since_s: Time since which the list may be out of date; None while it is up to date.
        trouble: Short description of the last error.
    """

    def __init__(self, api: Api, source: str, path: str, selector: dict[str, str], snapshots: "queue.Queue[Snapshot]"):
        super().__init__(name=f"watch-{source}", daemon=True)
        self._api = api
        self.source = source
        self._path = path
        self._selector = selector
        self._snapshots = snapshots
        self._objects: dict[str, dict[str, Any]] = {}
        self._stopped = threading.Event()
        self.last_contact_s = time.monotonic()
        self.broken_since_s: float | None = self.last_contact_s
        self.trouble = "no answer yet"

    def stop(self) -> None:
        """Ends the watch after its current request and reports no more changes."""
        self._stopped.set()

    def run(self) -> None:
        """Lists, then watches; resumes from the last version, or lists again if the server refuses that version.

        A refusal does not end the watch, because it says nothing about the job: a server that has just started answers
        403 until its permissions are loaded, 401 while a pod's token is renewed, and 410 if the version is too old.
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
            except (ApiException, urllib3.exceptions.HTTPError, *_NONSENSE) as error:
                if isinstance(error, ApiException) and not is_transient(error):
                    version = ""
                reason = summarize(error)
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
                version = self._apply(json.loads(line), version)
                if self._stopped.is_set():
                    break
        except (urllib3.exceptions.HTTPError, *_NONSENSE) as error:
            raise _BrokenOffError(version, summarize(error)) from error
        self.last_contact_s = time.monotonic()
        return version

    def _apply(self, event: dict[str, Any], version: str) -> str:
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
            self._snapshots.put(Snapshot(self.source, dict(self._objects)))


class _BrokenOffError(ValueError):
    """A watch was interrupted; it can resume from `version`."""

    def __init__(self, version: str, reason: str):
        super().__init__(reason)
        self.version = version
