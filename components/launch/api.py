"""A client of the Kubernetes API server that returns plain dicts; requests can be retried until it answers."""

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
# A restarting API server denies all access until its RBAC caches are filled; a longer refusal is a missing permission.
RBAC_WARM_UP_S = 30.0
REQUEST_TIMEOUT_S = (5.0, 30.0)
# Watches are requested to end earlier, so a connection that is silent for longer is dead.
STREAM_TIMEOUT_S = (5.0, 75.0)
_LONGEST_PAUSE_S = 10.0
# In addition to all 5xx, of which load balancers have some of their own; 0 is a failed TLS connection.
_TRANSIENT_STATUS = (0, 408, 425, 429)
# Not found, already exists, gone: the caller knows what these mean.
_FOR_THE_CALLER = (404, 409, 410)
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_MERGE_PATCH = "application/merge-patch+json"
log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Api:
    """A client with the credentials of the pod or, outside a cluster, of the current kubeconfig.

    Attributes:
        namespace: Namespace of the pod or of the kubeconfig's context.
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
        # urllib3's retries are not logged, and it would repeat requests that must not be repeated.
        settings.retries = urllib3.Retry(0)
        self._client = client.ApiClient(settings)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Returns an object or a list."""
        return self._json("GET", path, query)

    def create(self, path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """Creates an object in the collection at `path`; returns what the server stored."""
        return self._json("POST", path, query, body)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Merges `body` into an object."""
        return self._json("PATCH", path, {}, body, _MERGE_PATCH)

    def delete(self, path: str, **query: str) -> None:
        """Deletes an object and, in the background, the objects that it owns."""
        self._json("DELETE", path, {"propagationPolicy": "Background", **query})

    def lines(self, path: str, **query: str) -> Iterator[str]:
        """Sends a request at once and yields the lines of the response as they arrive, without line ends.

        A line that a broken connection cut off is not yielded.
        """
        return self._lines_of(self._call("GET", path, query, timeout=STREAM_TIMEOUT_S))

    @staticmethod
    def _lines_of(response: urllib3.HTTPResponse) -> Iterator[str]:
        rest = b""
        try:
            for chunk in response.stream(65536, decode_content=False):
                *complete, rest = (rest + chunk).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in complete)
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
            # A page of a proxy, not an answer of the API server.
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
    """Whether an error is one of the server or the network, so that a retry may help."""
    if isinstance(error, ApiException):
        return error.status in _TRANSIENT_STATUS or error.status >= 500
    return isinstance(error, urllib3.exceptions.HTTPError)


def is_access_denied(error: ApiException) -> bool:
    """Whether a permission is missing; an admission check (webhook, policy, quota) refuses the object with 403 as well.

    A missing permission reads `pods is forbidden: User "x" cannot list resource "pods" …`, an admission check
    `pods "x" is forbidden: exceeded quota …` or `admission webhook "…" denied the request: …`.
    """
    message = message_of(error)
    is_admission = "admission webhook" in message or (" is forbidden: " in message and 'User "' not in message)
    return error.status == 401 or (error.status == 403 and not is_admission)


def message_of(error: ApiException) -> str:
    """Returns the API server's message in one line."""
    try:
        text = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        text = str(error.reason)
    return " ".join(text.split())


def pause_s(failures: int) -> float:
    """Returns the pause before the next try, after a number of failures in a row."""
    return min(0.5 * 2 ** min(failures, 10), _LONGEST_PAUSE_S)


def retry(call: Callable[[], Result], patience_s: float = PATIENCE_S, *, retry_refusals: bool = False) -> Result:
    """Repeats a request until the API server answers it.

    Args:
        call: The request.
        patience_s: How long to retry.
        retry_refusals: Retry refused requests as well, because a refusal must not end a running job. By default, only
            denied access is retried, for as long as a restarting server needs to load its permissions.

    Raises:
        UnansweredError: The server did not answer, or refused, for longer than `patience_s`.
        UserError: The server refuses the request.
        ApiException: The answer is 404, 409 or 410; the caller knows what it means.
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
            elif not retry_refusals and (not is_access_denied(error) or now_s - refused_since_s > RBAC_WARM_UP_S):
                raise refusal(error) from error
            if now_s - started_s > patience_s:
                raise UnansweredError(
                    f"the API server did not answer for {patience_s:.0f} s: {summarize(error)}"
                ) from error
            if failures == 0:
                log.warning("the API server fails or refuses a request (%s): retrying", summarize(error))
            time.sleep(pause_s(failures))
            failures += 1


def refusal(error: ApiException) -> Exception:
    """Returns the UserError for a refused request; returns 404, 409 and 410 unchanged."""
    if error.status in _FOR_THE_CALLER:
        return error
    if is_access_denied(error):
        return UserError(f"the cluster denies access: {message_of(error)} (see components/launch/README.md)")
    return UserError(f"the cluster refuses the job: {message_of(error)}")


def summarize(error: Exception) -> str:
    """Describes a failed request in a few words."""
    if isinstance(error, ApiException):
        # For denied access, the server's message says more than the status.
        return f"{error.status} {message_of(error) if error.status in (401, 403) else error.reason}"
    return type(getattr(error, "reason", None) or error).__name__
