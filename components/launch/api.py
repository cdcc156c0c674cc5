"""The Kubernetes API server: plain objects in and out, and patience with a server that is away for a while."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from compaware.components.core.base.errors import UserError
from compaware.components.launch.errors import UnansweredError

PATIENCE_S = 600.0
# A restarting API server refuses everybody until its RBAC caches are filled; who is refused for longer lacks the right.
RBAC_WARM_UP_S = 30.0
REQUEST_TIMEOUT_S = (5.0, 30.0)
# Watches are asked to end before this; a connection that is silent for longer is dead.
STREAM_TIMEOUT_S = (5.0, 75.0)
_LONGEST_PAUSE_S = 10.0
_TRANSIENT_STATUS = (0, 408, 429, 500, 502, 503, 504)
# Not there, there already, gone: what that means depends on what was asked.
_FOR_THE_CALLER = (404, 409, 410)
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_MERGE_PATCH = "application/merge-patch+json"
log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Api:
    """One API server, with the credentials of the pod or, outside a cluster, of the current kubeconfig.

    Attributes:
        namespace: The pod's, or the kubeconfig's.
    """

    def __init__(self) -> None:
        try:
            if _NAMESPACE_FILE.exists():
                config.load_incluster_config()
                self.namespace = _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
            else:
                config.load_kube_config()
                context = config.list_kube_config_contexts()[1]["context"]
                self.namespace = context.get("namespace", "default")
        except config.ConfigException as error:
            raise UserError(f"no Kubernetes cluster is configured here ({error}): set launcher=torchrun") from error
        settings = client.Configuration.get_default_copy()
        # urllib3's own retries are silent, and would repeat what is not safe to repeat.
        settings.retries = urllib3.Retry(0)
        self._client = client.ApiClient(settings)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Reads an object or a list."""
        return self._json("GET", path, query)

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Creates an object below a collection's path."""
        return self._json("POST", path, {}, body)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Merges `body` into an object."""
        return self._json("PATCH", path, {}, body, _MERGE_PATCH)

    def delete(self, path: str) -> None:
        """Deletes an object and, in the background, what it owns."""
        self._json("DELETE", path, {"propagationPolicy": "Background"})

    def lines(self, path: str, **query: str) -> Iterator[str]:
        """The lines of an answer as they come, without their ends; the request is made at once.

        A line that a broken connection cut short is not given.
        """
        return self._lines_of(self._call("GET", path, query, timeout=STREAM_TIMEOUT_S))

    @staticmethod
    def _lines_of(response: urllib3.HTTPResponse) -> Iterator[str]:
        rest = b""
        try:
            for chunk in response.stream(65536, decode_content=False):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in whole)
            if rest:
                yield rest.decode("utf-8", "replace")
        finally:
            response.close()

    def _json(
        self, method: str, path: str, query: dict[str, str], body: Any = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        response = self._call(method, path, query, body, content_type)
        try:
            return json.loads(response.data)
        except ValueError as error:
            # What answers is no API server: a proxy, with a page of its own.
            raise urllib3.exceptions.ProtocolError("the answer is not JSON") from error

    def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Any = None,
        content_type: str = "application/json",
        timeout: tuple[float, float] = REQUEST_TIMEOUT_S,
    ) -> urllib3.HTTPResponse:
        return self._client.call_api(
            path,
            method,
            query_params=list(query.items()),
            header_params={"Accept": "application/json, */*", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _preload_content=False,
            _request_timeout=timeout,
        )


def is_transient(error: Exception) -> bool:
    """Whether an error is the server's or the network's, and trying again may help."""
    if isinstance(error, ApiException):
        return error.status in _TRANSIENT_STATUS
    return isinstance(error, urllib3.exceptions.HTTPError)


def message_of(error: ApiException) -> str:
    """The API server's own words, in one line."""
    try:
        text = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        text = str(error.reason)
    return " ".join(text.split())


def pause_s(failures: int) -> float:
    """How long to wait after so many failures in a row."""
    return min(0.5 * 2 ** min(failures, 10), _LONGEST_PAUSE_S)


def patiently(call: Callable[[], Result], patience_s: float = PATIENCE_S, *, refusals_too: bool = False) -> Result:
    """Calls until the API server answers.

    Args:
        call: The request.
        patience_s: How long a server that is away is waited for.
        refusals_too: Wait as long for one that refuses, since a refusal must not end what already runs; otherwise only
            401 and 403 are waited for, and no longer than a server needs to know its users after a restart.

    Raises:
        UnansweredError: It was away, or refused, for longer than `patience_s`.
        UserError: It refuses, and what to change.
        ApiException: It says 404, 409 or 410: what that means, the caller knows.
    """
    started_s = refused_since_s = time.monotonic()
    failures = 0
    while True:
        try:
            return call()
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            now_s = time.monotonic()
            if is_transient(error):
                refused_since_s = now_s
            elif not isinstance(error, ApiException) or error.status in _FOR_THE_CALLER:
                raise
            elif not refusals_too and (error.status not in (401, 403) or now_s - refused_since_s > RBAC_WARM_UP_S):
                raise refusal(error) from error
            if now_s - started_s > patience_s:
                raise UnansweredError(
                    f"the API server did not answer for {patience_s:.0f} s: {short(error)}"
                ) from error
            if failures == 0:
                log.warning("the API server fails or refuses (%s): trying again", short(error))
            time.sleep(pause_s(failures))
            failures += 1


def refusal(error: ApiException) -> Exception:
    """What a refused request means to the user; 404, 409 and 410 stay as they are."""
    if error.status in _FOR_THE_CALLER:
        return error
    if error.status in (401, 403):
        return UserError(f"the cluster does not allow it: {message_of(error)} (see components/launch/README.md)")
    return UserError(f"the cluster refuses the job: {message_of(error)}")


def short(error: Exception) -> str:
    """An error of a request in a few words."""
    if isinstance(error, ApiException):
        # The server's own words say more than the status, where it knows who asks.
        return f"{error.status} {message_of(error) if error.status in (401, 403) else error.reason}"
    return type(getattr(error, "reason", None) or error).__name__
