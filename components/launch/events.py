"""Finds out from events why objects have no pods."""

import logging
from collections.abc import Iterator, Sequence

import urllib3
from kubernetes.client.exceptions import ApiException

from compaware.components.launch.api import Api, summarize

log = logging.getLogger(__name__)


def last_warning(api: Api, names: Sequence[str]) -> str:
    """Returns the last warning event about objects of these names; empty if there is none or it cannot be read."""
    try:
        warnings = [warning for name in names for warning in _warnings(api, name)]
    except (ApiException, urllib3.exceptions.HTTPError) as error:  # Not every account may list events.
        log.warning("cannot list the events of %s: %s", names[0], summarize(error))
        return ""
    return max(warnings, default=("", ""))[1]


def _warnings(api: Api, name: str) -> Iterator[tuple[str, str]]:
    """Yields time and text of the warnings about an object."""
    selector = f"involvedObject.name={name},type=Warning"
    for event in api.get(f"/api/v1/namespaces/{api.namespace}/events", fieldSelector=selector)["items"]:
        time_stamp = event.get("lastTimestamp") or event.get("eventTime") or ""
        yield time_stamp, f"{event['reason']}: {' '.join(event['message'].split())}"
